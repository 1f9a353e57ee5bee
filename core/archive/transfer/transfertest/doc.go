// Package transfertest owns the files of transfer folders that tests import.
package transfertest
