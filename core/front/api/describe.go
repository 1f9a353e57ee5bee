package api

import "aptless/core/formats/openapi"

// exchange is the request and the successful answer of an operation.
type exchange struct {
	body   any // nil for no body
	query  []openapi.Param
	status int
	answer any
}

// gives returns the exchange of an operation without a body.
func gives(status int, answer any, query ...openapi.Param) exchange {
	return exchange{nil, query, status, answer}
}

// takes returns the exchange of an operation with a body.
func takes(body any, status int, answer any, query ...openapi.Param) exchange {
	return exchange{body, query, status, answer}
}

// op describes an operation.
func op(method, path, tag, id, summary string, x exchange) openapi.Operation {
	return openapi.Operation{Method: method, Path: path, Tag: tag, ID: id, Summary: summary, Body: x.body, Query: x.query, Answers: answers(x.status, x.answer)}
}

// answers returns the answer of an operation that succeeds.
func answers(status int, body any) []openapi.Answer {
	return []openapi.Answer{{Status: status, Body: body}}
}
