package aws

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"aptless/core/engine/driver"
)

// answers serves the given answers of DynamoDB in turn, and then repeats the last one. A
// name of an error is answered with status 400. A read of a row is answered with row.
type answers struct {
	list     []string
	row      string
	read     int
	requests []map[string]any
	calls    []string
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	data, _ := io.ReadAll(r.Body)
	json.Unmarshal(data, &body)
	_, call, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var answer string
	if call == "GetItem" {
		a.read++
		answer = a.row
	} else {
		a.requests, a.calls = append(a.requests, body), append(a.calls, call)
		answer = a.list[min(len(a.requests), len(a.list))-1]
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if !strings.HasPrefix(answer, "{") {
		answer = fmt.Sprintf(`{"__type":"com.amazonaws.dynamodb.v20120810#%s"}`, answer)
	}
	if strings.Contains(answer, "__type") {
		w.WriteHeader(http.StatusBadRequest)
	}
	io.WriteString(w, answer)
}

// cancelled is the answer to a transaction cancelled for these reasons.
func cancelled(codes ...string) string {
	reasons := make([]string, len(codes))
	for i, code := range codes {
		reasons[i] = fmt.Sprintf(`{"Code":%q}`, code)
	}
	return fmt.Sprintf(`{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","CancellationReasons":[%s]}`, strings.Join(reasons, ","))
}

// table connects a table to a server with these answers. The SDK's own retries are off.
func table(t *testing.T, list ...string) (*Table, *answers) {
	t.Helper()
	a := &answers{list: list, row: "{}"}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	for name, value := range environment {
		t.Setenv(name, value)
	}
	d, err := Open(t.Context(), Config{Table: "table", DynamoDBURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return d.Table, a
}

// environment sets credentials and turns the SDK's retries off.
var environment = map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1"}

var (
	one = driver.Op{Key: driver.Key{Part: "p", Sort: "one"}, Data: []byte("1")}
	two = driver.Op{Key: driver.Key{Part: "p", Sort: "two"}, Data: []byte("2")}
)

// TestWriteAgain holds which errors are retried. DynamoDB Local causes none of them.
func TestWriteAgain(t *testing.T) {
	for name, c := range map[string]struct {
		ops     []driver.Op
		answers []string
		row     string // the row found by a read; "" for none
		calls   int
		read    int
		failed  []driver.Key // index of the row whose condition failed
		err     bool
	}{
		"row in a transaction":     {ops: []driver.Op{one}, answers: []string{"TransactionConflictException", "TransactionConflictException", "{}"}, calls: 3},
		"transactions in the way":  {ops: []driver.Op{one, two}, answers: []string{cancelled("None", "TransactionConflict"), cancelled("ThrottlingError", "None"), "{}"}, calls: 3, read: 1},
		"transaction changed it":   {ops: []driver.Op{one, two}, answers: []string{cancelled("None", "TransactionConflict")}, row: `{"Item":{"v":{"S":"another"},"d":{"B":""}}}`, calls: 1, read: 1, failed: []driver.Key{two.Key}},
		"transaction was stopped":  {ops: []driver.Op{{Do: driver.OpCheck, Key: one.Key, If: "same"}, two}, answers: []string{cancelled("TransactionConflict", "None"), "{}"}, row: `{"Item":{"v":{"S":"same"},"d":{"B":""}}}`, calls: 2, read: 1},
		"transaction deleted it":   {ops: []driver.Op{{Do: driver.OpCheck, Key: one.Key, If: "same"}, two}, answers: []string{cancelled("TransactionConflict", "None")}, calls: 1, read: 1, failed: []driver.Key{one.Key}},
		"it cannot be looked at":   {ops: []driver.Op{one, two}, answers: []string{cancelled("TransactionConflict", "None")}, row: "ResourceNotFoundException", calls: 1, read: 1, err: true},
		"still running":            {ops: []driver.Op{one, two}, answers: []string{"TransactionInProgressException", "{}"}, calls: 2},
		"condition":                {ops: []driver.Op{one, two}, answers: []string{cancelled("None", "ConditionalCheckFailed")}, calls: 1, failed: []driver.Key{two.Key}},
		"condition and other":      {ops: []driver.Op{one, two}, answers: []string{cancelled("ConditionalCheckFailed", "TransactionConflict")}, calls: 1, failed: []driver.Key{one.Key}},
		"condition of one":         {ops: []driver.Op{one}, answers: []string{"ConditionalCheckFailedException"}, calls: 1, failed: []driver.Key{one.Key}},
		"too large":                {ops: []driver.Op{one, two}, answers: []string{cancelled("None", "ItemCollectionSizeLimitExceeded")}, calls: 1, err: true},
		"refused":                  {ops: []driver.Op{one, two}, answers: []string{"ValidationException"}, calls: 1, err: true},
		"transactions in the way*": {ops: []driver.Op{one, two}, answers: []string{cancelled("TransactionConflict", "None")}, calls: maxRetries + 1, read: maxRetries, err: true},
	} {
		t.Run(name, func(t *testing.T) {
			table, a := table(t, c.answers...)
			a.row = cmp.Or(c.row, a.row)
			_, err := table.Write(t.Context(), c.ops...)
			if len(a.calls) != c.calls || a.read != c.read {
				t.Errorf("%d requests and %d reads, want %d and %d", len(a.calls), a.read, c.calls, c.read)
			}
			var conflict *driver.ConflictError
			if errors.As(err, &conflict) {
				if !slices.Equal(conflict.Keys, c.failed) {
					t.Errorf("%v did not hold, want %v", conflict.Keys, c.failed)
				}
			} else if c.failed != nil || (err != nil) != c.err {
				t.Error(err)
			}
		})
	}
}

// TestTokens holds that a transaction that may still run is repeated with its token. A
// cancelled one is repeated with another token.
func TestTokens(t *testing.T) {
	table, a := table(t, "TransactionInProgressException", cancelled("TransactionConflict", "None"), "{}")
	if _, err := table.Write(t.Context(), one, two); err != nil {
		t.Fatal(err)
	}
	var tokens []any
	for _, r := range a.requests {
		tokens = append(tokens, r["ClientRequestToken"])
	}
	if len(tokens) != 3 || tokens[0] == nil || tokens[0] != tokens[1] || tokens[1] == tokens[2] {
		t.Errorf("tokens %v", tokens)
	}
}

// TestLostAnswer holds that a row put by the same call is no conflict.
func TestLostAnswer(t *testing.T) {
	version := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var put struct {
			Item map[string]map[string]string
		}
		json.NewDecoder(r.Body).Decode(&put)
		version = put.Item["v"]["S"]
		w.WriteHeader(http.StatusBadRequest)
		item, _ := json.Marshal(put.Item)
		fmt.Fprintf(w, `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","Item":%s}`, item)
	}))
	defer server.Close()
	for name, value := range environment {
		t.Setenv(name, value)
	}
	d, err := Open(t.Context(), Config{Table: "table", DynamoDBURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}

	got, err := d.Table.Write(t.Context(), one)
	if err != nil || got == "" || got != version {
		t.Errorf("version %q, %v, want %q", got, err, version)
	}
}

// TestUnsureRow holds that another writer's row is no conflict after a lost answer: this
// call may have been done first.
func TestUnsureRow(t *testing.T) {
	puts := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if puts++; puts == 1 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","Item":{"v":{"S":"another's"},"d":{"B":""}}}`)
	}))
	defer server.Close()
	for name, value := range environment {
		t.Setenv(name, value)
	}
	t.Setenv("AWS_MAX_ATTEMPTS", "2")
	d, err := Open(t.Context(), Config{Table: "table", DynamoDBURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Table.Write(t.Context(), one); !errors.Is(err, errUnsure) || errors.Is(err, driver.ErrConflict) {
		t.Error(err)
	}
}

// TestPutAgain holds that exactly the unprocessed rows are sent again.
func TestPutAgain(t *testing.T) {
	left := `{"UnprocessedItems":{"table":[{"PutRequest":{"Item":{"pk":{"S":"r#p"},"sk":{"S":"two"},"v":{"S":"x"},"d":{"B":""}}}}]}}`
	table, a := table(t, "TransactionConflictException", left, "{}")
	if err := table.Put(t.Context(), driver.Row{Key: one.Key}, driver.Row{Key: two.Key}); err != nil {
		t.Fatal(err)
	}
	var sent []int
	for _, r := range a.requests {
		sent = append(sent, len(r["RequestItems"].(map[string]any)["table"].([]any)))
	}
	if !slices.Equal(sent, []int{2, 2, 1}) {
		t.Errorf("%v rows were sent", sent)
	}
}
