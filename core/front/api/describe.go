package api

import (
	"net/http"
	"slices"

	"aptless/core/formats/openapi"
)

// Query parameters of operations in several files.
var (
	async  = openapi.Param{Name: "_async", About: "answer at once with the task instead of its result", Values: []string{"1", "0"}, Default: "the option --async of the server"}
	dryRun = openapi.Param{Name: "dryRun", About: "answer with the plan and change nothing", Values: []string{"1"}}
)

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

// text and empty are the types of bodies: a string, and an empty object.
const text = ""

type empty struct{}

// tasked describes an operation that runs as a task. With _async it answers with the
// task.
func tasked(method, path, tag, id, summary string, x exchange) openapi.Operation {
	x.query = append(slices.Clone(x.query), async)
	o := op(method, path, tag, id, summary, x)
	o.Answers = append(o.Answers, openapi.Answer{Status: http.StatusAccepted, About: "the task, which is still running", Body: taskView{}})
	return o
}
