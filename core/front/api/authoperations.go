package api

import (
	"aptless/core/formats/openapi"
	"aptless/core/front/auth"
)

// authOperations describes the routes below /api/auth, which aptly does not have.
func authOperations() []openapi.Operation {
	const tag, all, one = "Auth", "/api/auth/tokens", "/api/auth/tokens/{id}"
	return []openapi.Operation{
		op("GET", "/api/auth/whoami", tag, "whoami", "Show the principal of the request", gives(200, identity{})),
		op("POST", all, tag, "createToken", "Create a token. The answer shows its secret once", takes(tokenParams{}, 201, madeToken{})),
		op("GET", all, tag, "listTokens", "List the tokens", gives(200, []auth.View{},
			openapi.Param{Name: "owner", About: "only tokens of this owner"},
			openapi.Param{Name: "live", About: "only tokens that are valid", Values: []string{"1"}})),
		op("GET", one, tag, "showToken", "Show a token", gives(200, auth.View{})),
		op("DELETE", one, tag, "revokeToken", "Revoke a token. The ID self is the token of the request", gives(200, auth.Token{})),
		op("POST", one+"/rotate", tag, "rotateToken", "Replace a token by a new one", takes(rotateParams{}, 201, madeToken{})),
	}
}
