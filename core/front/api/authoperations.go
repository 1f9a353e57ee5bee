package api

import (
	"cmp"

	"aptless/core/archive/origin"
	"aptless/core/formats/openapi"
	"aptless/core/front/audit"
	"aptless/core/front/auth"
)

// authOperations describes the routes below /api/auth, which aptly does not have.
func authOperations() []openapi.Operation {
	const tag, all, one = "Auth", "/api/auth/tokens", "/api/auth/tokens/{id}"
	const policy = "/api/auth/policies/{name}"
	return []openapi.Operation{
		op("GET", "/api/auth/whoami", tag, "whoami", "Show the principal of the request", gives(200, identity{})),
		op("POST", all, tag, "createToken", "Create a token. The answer shows its secret once", takes(tokenParams{}, 201, madeToken{})),
		op("GET", all, tag, "listTokens", "List the tokens", gives(200, []auth.View{},
			openapi.Param{Name: "owner", About: "only tokens of this owner", Default: "none: all"},
			openapi.Param{Name: "live", About: "only tokens that are valid", Values: []string{"1"}})),
		op("GET", one, tag, "showToken", "Show a token", gives(200, auth.View{})),
		op("DELETE", one, tag, "revokeToken", "Revoke a token. The ID self is the token of the request", gives(200, auth.Token{})),
		op("GET", "/api/auth/policies", tag, "listPolicies", "List the trust policies", gives(200, []auth.Policy{})),
		op("GET", policy, tag, "showPolicy", "Show a trust policy", gives(200, auth.Policy{})),
		op("PUT", policy, tag, "setPolicy", "Make or replace a trust policy. Short tokens of the former one are revoked", takes(policyParams{}, 200, setPolicy{})),
		op("DELETE", policy, tag, "removePolicy", "Remove a trust policy, and revoke its short tokens", gives(200, auth.Policy{})),
		op("GET", "/api/auth/oidc/audience", tag, "oidcAudience", "Show the audience that ID tokens need", gives(200, audienceView{})),
		op("POST", "/api/auth/oidc/token", tag, "exchangeToken", "Exchange the ID token of a CI job for a short token, once", takes(exchangeParams{}, 201, exchanged{})),
		op("GET", "/api/auth/access", tag, "showAccess", "Show the private prefixes of published files", gives(200, auth.Private{})),
		op("PUT", "/api/auth/access", tag, "setAccess", "Replace the private prefixes. Version is that of the present ones", takes(privateParams{}, 200, auth.Private{})),
		op("GET", "/api/packages/{key}/origins", tag, "packageOrigins", "List the imports of a package's files, the newest first", gives(200, []origin.Origin{})),
		op("GET", "/api/repos/{name}/origins/{key}", tag, "repoOrigins", "List the imports of a package's files into a repository", gives(200, []origin.Origin{})),
		op("GET", "/api/audit", tag, "listAudit", "List the audit records in the order of time", gives(200, audit.Page{}, auditParams()...)),
		op("GET", "/api/auth/bindings", tag, "listBindings", "List the bindings", gives(200, []auth.Binding{})),
		op("GET", "/api/auth/bindings/{name}", tag, "showBinding", "Show a binding", gives(200, auth.Binding{})),
		op("PUT", "/api/auth/bindings/{name}", tag, "setBinding", "Give grants to callers with a certificate or with AWS credentials", takes(bindingParams{}, 200, auth.Binding{})),
		op("DELETE", "/api/auth/bindings/{name}", tag, "removeBinding", "Remove a binding", gives(200, auth.Binding{})),
		op("POST", one+"/rotate", tag, "rotateToken", "Replace a token by a new one", takes(rotateParams{}, 201, madeToken{})),
	}
}

// auditParams are the filters of audit records.
func auditParams() []openapi.Param {
	var list []openapi.Param
	for _, p := range [][3]string{{"since", "time of the first record", "a day before until"}, {"until", "time after the last record", "now"},
		{"event", "only this event"}, {"by", "ID or name of the principal"}, {"owner", "owner of the principal"}, {"task", "number of the task"}, {"path", "beginning of the path"},
		{"status", "only this status"}, {"from", "address of the client"}, {"limit", "records of an answer, at most 1000", "200"}, {"after", "Next of an earlier answer", "none: the first page"}} {
		list = append(list, openapi.Param{Name: p[0], About: p[1], Default: cmp.Or(p[2], "none: all")})
	}
	return list
}
