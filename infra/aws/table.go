package aws

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	mathrand "math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"aptless/core/engine/driver"
)

// Table is the Table port in one DynamoDB table.
type Table struct {
	client *dynamodb.Client
	name   string
}

var _ driver.Table = (*Table)(nil)

type item = map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// rowKey and counterKey separate rows from counters.
func rowKey(k driver.Key) item     { return item{"pk": text("r#" + k.Part), "sk": text(k.Sort)} }
func counterKey(k driver.Key) item { return item{"pk": text("c#" + k.Part), "sk": text(k.Sort)} }

func rowItem(k driver.Key, version string, data []byte) item {
	if data == nil {
		data = []byte{}
	}
	it := rowKey(k)
	it["v"], it["d"] = text(version), &types.AttributeValueMemberB{Value: data}
	return it
}

func rowOf(k driver.Key, it item) (driver.Row, error) {
	v, ok := it["v"].(*types.AttributeValueMemberS)
	d, okData := it["d"].(*types.AttributeValueMemberB)
	if !ok || !okData {
		return driver.Row{}, fmt.Errorf("item %s is no row", k)
	}
	return driver.Row{Key: k, Version: v.Value, Data: d.Value}, nil
}

// Get implements driver.Table.
func (t *Table) Get(ctx context.Context, key driver.Key) (driver.Row, error) {
	if err := key.Check(); err != nil {
		return driver.Row{}, err
	}
	out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &t.name, Key: rowKey(key), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return driver.Row{}, fmt.Errorf("get %s: %w", key, err)
	}
	if len(out.Item) == 0 {
		return driver.Row{}, fmt.Errorf("get %s: %w", key, driver.ErrNotFound)
	}
	return rowOf(key, out.Item)
}

// Scan implements driver.Table.
func (t *Table) Scan(ctx context.Context, part, after string) iter.Seq2[driver.Row, error] {
	return func(yield func(driver.Row, error) bool) {
		if err := (driver.Key{Part: part, Sort: "x"}).Check(); err != nil {
			yield(driver.Row{}, err)
			return
		}
		in := &dynamodb.QueryInput{TableName: &t.name, ConsistentRead: aws.Bool(true),
			KeyConditionExpression: aws.String("pk = :p"), ExpressionAttributeValues: item{":p": text("r#" + part)}}
		if after != "" {
			in.KeyConditionExpression = aws.String("pk = :p AND sk > :a")
			in.ExpressionAttributeValues[":a"] = text(after)
		}
		for {
			out, err := t.client.Query(ctx, in)
			if err != nil {
				yield(driver.Row{}, fmt.Errorf("scan %s: %w", part, err))
				return
			}
			for _, it := range out.Items {
				sk, _ := it["sk"].(*types.AttributeValueMemberS)
				if sk == nil {
					yield(driver.Row{}, fmt.Errorf("scan %s: an item is no row", part))
					return
				}
				row, err := rowOf(driver.Key{Part: part, Sort: sk.Value}, it)
				if !yield(row, err) || err != nil {
					return
				}
			}
			if in.ExclusiveStartKey = out.LastEvaluatedKey; len(out.LastEvaluatedKey) == 0 {
				return
			}
		}
	}
}

const (
	maxRetries = 12                     // retries after throttling or a concurrent transaction
	firstWait  = 10 * time.Millisecond  // pause before the first retry
	longWait   = 500 * time.Millisecond // longest pause
)

// pause waits before the nth retry. The time is random and grows with n.
func pause(ctx context.Context, n int) error {
	return sleep(ctx, time.Duration(mathrand.Int64N(int64(min(firstWait<<n, longWait))))+time.Millisecond)
}

// sleep waits for d.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Write implements driver.Table.
func (t *Table) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	if err := driver.CheckOps(ops); err != nil {
		return "", err
	}
	version, token := rand.Text(), rand.Text()
	for n := 0; ; n++ {
		err := t.write(ctx, version, token, ops)
		if err == nil {
			return version, nil
		}
		if !again(err) || n == maxRetries {
			return "", fmt.Errorf("write of %d rows, %s: %w", len(ops), ops[0].Key, err)
		}
		if running := (*types.TransactionInProgressException)(nil); !errors.As(err, &running) {
			token = rand.Text() // a refused transaction is over; a running one keeps its token, so that it cannot commit twice
		}
		if err := pause(ctx, n); err != nil {
			return "", err
		}
		if err := t.moved(ctx, ops, err); err != nil {
			return "", fmt.Errorf("write of %d rows, %s: %w", len(ops), ops[0].Key, err)
		}
	}
}

// moved reads the rows at which concurrent transactions stopped a write. If a row has
// changed, the write is a conflict. Repeating it would fail and delay the others.
func (t *Table) moved(ctx context.Context, ops []driver.Op, stopped error) error {
	var cancelled *types.TransactionCanceledException
	if !errors.As(stopped, &cancelled) {
		return nil
	}
	conflict := &driver.ConflictError{}
	for i, reason := range cancelled.CancellationReasons {
		if aws.ToString(reason.Code) != "TransactionConflict" || i >= len(ops) {
			continue
		}
		row, err := t.Get(ctx, ops[i].Key)
		switch {
		case errors.Is(err, driver.ErrNotFound):
			row.Version = driver.Absent
		case err != nil:
			return err
		}
		if row.Version != ops[i].If {
			conflict.Keys = append(conflict.Keys, ops[i].Key)
		}
	}
	if len(conflict.Keys) == 0 {
		return nil
	}
	return conflict
}

// again reports whether a write is to be repeated: it was throttled, stopped by a
// concurrent transaction, or the transaction with its token still runs.
func again(err error) bool {
	var conflict *types.TransactionConflictException // errors of single writes
	var running *types.TransactionInProgressException
	var cancelled *types.TransactionCanceledException
	switch {
	case errors.As(err, &conflict), errors.As(err, &running):
		return true
	case !errors.As(err, &cancelled):
		return false
	}
	return slices.ContainsFunc(cancelled.CancellationReasons, func(r types.CancellationReason) bool {
		return slices.Contains([]string{"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}, aws.ToString(r.Code))
	})
}

// write tries once. A single row does not pay the price of a transaction.
func (t *Table) write(ctx context.Context, version, token string, ops []driver.Op) error {
	if len(ops) == 1 && ops[0].Do == driver.OpPut {
		return t.putOne(ctx, version, ops[0])
	}
	in := &dynamodb.TransactWriteItemsInput{ClientRequestToken: &token}
	for _, op := range ops {
		in.TransactItems = append(in.TransactItems, t.transactItem(version, op))
	}
	_, err := t.client.TransactWriteItems(items(ctx, len(ops)), in)
	var cancelled *types.TransactionCanceledException
	if !errors.As(err, &cancelled) {
		return err
	}
	conflict := &driver.ConflictError{}
	for i, reason := range cancelled.CancellationReasons {
		if aws.ToString(reason.Code) == "ConditionalCheckFailed" && i < len(ops) {
			conflict.Keys = append(conflict.Keys, ops[i].Key)
		}
	}
	if len(conflict.Keys) > 0 {
		return conflict
	}
	return err
}

func condition(op driver.Op) (expression string, values item) {
	if op.If == driver.Absent {
		return "attribute_not_exists(pk)", nil
	}
	return "v = :was", item{":was": text(op.If)}
}

func (t *Table) transactItem(version string, op driver.Op) types.TransactWriteItem {
	expression, values := condition(op)
	switch op.Do {
	case driver.OpPut:
		return types.TransactWriteItem{Put: &types.Put{TableName: &t.name, Item: rowItem(op.Key, version, op.Data),
			ConditionExpression: &expression, ExpressionAttributeValues: values}}
	case driver.OpDelete:
		return types.TransactWriteItem{Delete: &types.Delete{TableName: &t.name, Key: rowKey(op.Key),
			ConditionExpression: &expression, ExpressionAttributeValues: values}}
	}
	return types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{TableName: &t.name, Key: rowKey(op.Key),
		ConditionExpression: &expression, ExpressionAttributeValues: values}}
}

// putOne puts one row. The condition fails if this call's own row is there: an answer was
// lost and the SDK repeated the call. If another row is there after a lost answer, the
// outcome of this call is unknown.
func (t *Table) putOne(ctx context.Context, version string, op driver.Op) error {
	expression, values := condition(op)
	ctx, tries := watch(ctx)
	_, err := t.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &t.name, Item: rowItem(op.Key, version, op.Data), ConditionExpression: &expression, ExpressionAttributeValues: values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var failed *types.ConditionalCheckFailedException
	if !errors.As(err, &failed) {
		return err
	}
	if row, err := rowOf(op.Key, failed.Item); err == nil && row.Version == version {
		return nil
	}
	if tries.unsure() {
		return errUnsure
	}
	return &driver.ConflictError{Keys: []driver.Key{op.Key}}
}

// maxBatch is BatchWriteItem's limit.
const maxBatch = 25

// Put implements driver.Table.
func (t *Table) Put(ctx context.Context, rows ...driver.Row) error {
	if err := driver.CheckRows(rows); err != nil {
		return err
	}
	for part := range slices.Chunk(rows, maxBatch) {
		var requests []types.WriteRequest
		for _, row := range part {
			requests = append(requests, types.WriteRequest{PutRequest: &types.PutRequest{Item: rowItem(row.Key, rand.Text(), row.Data)}})
		}
		for n := 0; len(requests) > 0; n++ {
			out, err := t.client.BatchWriteItem(items(ctx, len(requests)), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{t.name: requests}})
			if err != nil && !again(err) {
				return fmt.Errorf("put of %d rows, %s: %w", len(rows), part[0].Key, err)
			}
			if err == nil {
				requests = out.UnprocessedItems[t.name]
			}
			if len(requests) == 0 {
				break
			}
			if n == maxRetries {
				return fmt.Errorf("put of %d rows, %s: %d are left after %d tries", len(rows), part[0].Key, len(requests), n)
			}
			if err := pause(ctx, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// Add implements driver.Table.
func (t *Table) Add(ctx context.Context, key driver.Key, delta int64) (int64, error) {
	if err := key.Check(); err != nil {
		return 0, err
	}
	out, err := t.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: counterKey(key), UpdateExpression: aws.String("ADD n :d"),
		ExpressionAttributeValues: item{":d": &types.AttributeValueMemberN{Value: strconv.FormatInt(delta, 10)}},
		ReturnValues:              types.ReturnValueUpdatedNew,
	})
	if err != nil {
		return 0, fmt.Errorf("add to %s: %w", key, err)
	}
	n, ok := out.Attributes["n"].(*types.AttributeValueMemberN)
	if !ok {
		return 0, fmt.Errorf("add to %s: no sum in the answer", key)
	}
	return strconv.ParseInt(n.Value, 10, 64)
}
