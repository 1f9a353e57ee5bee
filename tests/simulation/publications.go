package simulation

// OfPublications are protective conditions of publications and of other objects, each
// removed in turn.
var OfPublications = []Mutant{
	{Condition: "settle: files of dropped publications go before their names are used again", File: "archive/publish/drop.go", Focus: "drops",
		Old: "	if len(left) == 0 {\n		return false, nil",
		New: "	if true || len(left) == 0 {\n		return false, nil"},
}
