// Command bill prints the monthly bill of example months on AWS, at list price and with the
// free tiers that do not end. It compares an earlier deployment with the present template.
//
//	bill.go   the model: prices, months, deployments
//	main.go   the table
package main
