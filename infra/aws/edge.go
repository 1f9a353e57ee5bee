package aws

import (
	"context"
	"errors"
	"iter"
	"maps"
	"net/url"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfrontkeyvaluestore"
	"github.com/aws/aws-sdk-go-v2/service/cloudfrontkeyvaluestore/types"
	endpoints "github.com/aws/smithy-go/endpoints"

	"aptless/core/engine/driver"
)

// Edge is a driver.Edge: a key value store of CloudFront, which its functions read.
type Edge struct {
	arn    string
	client *cloudfrontkeyvaluestore.Client
}

// NewEdge returns the store of an ARN. address replaces the endpoint of AWS unless it is "".
func (d *Drivers) NewEdge(arn, address string) *Edge {
	return &Edge{arn, cloudfrontkeyvaluestore.NewFromConfig(d.sdk, func(o *cloudfrontkeyvaluestore.Options) {
		if address != "" {
			o.EndpointResolverV2 = fixed(address)
		}
	})}
}

// fixed is the endpoint of a substitute. That of AWS has the account before its host.
type fixed string

// ResolveEndpoint implements cloudfrontkeyvaluestore.EndpointResolverV2.
func (f fixed) ResolveEndpoint(context.Context, cloudfrontkeyvaluestore.EndpointParameters) (endpoints.Endpoint, error) {
	u, err := url.Parse(string(f))
	if err != nil {
		return endpoints.Endpoint{}, err
	}
	return endpoints.Endpoint{URI: *u}, nil
}

// edgeAttempts bounds the attempts at an update that conflicts with others.
const edgeAttempts = 8

// Update implements driver.Edge.
func (e *Edge) Update(ctx context.Context, put map[string]string, remove []string) error {
	names := slices.Sorted(maps.Keys(put))
	for len(names)+len(remove) > 0 {
		n := min(len(names), driver.MaxEdge)
		m := min(len(remove), driver.MaxEdge-n)
		var puts []types.PutKeyRequestListItem
		for _, name := range names[:n] {
			puts = append(puts, types.PutKeyRequestListItem{Key: aws.String(name), Value: aws.String(put[name])})
		}
		var deletes []types.DeleteKeyRequestListItem
		for _, name := range remove[:m] {
			deletes = append(deletes, types.DeleteKeyRequestListItem{Key: aws.String(name)})
		}
		if err := e.change(ctx, puts, deletes); err != nil {
			return err
		}
		names, remove = names[n:], remove[m:]
	}
	return nil
}

// change sends one update. Its condition is the version of the whole store, so that
// writers at the same time conflict.
func (e *Edge) change(ctx context.Context, puts []types.PutKeyRequestListItem, deletes []types.DeleteKeyRequestListItem) error {
	var conflict *types.ConflictException
	for attempt := 0; ; attempt++ {
		now, err := e.client.DescribeKeyValueStore(ctx, &cloudfrontkeyvaluestore.DescribeKeyValueStoreInput{KvsARN: &e.arn})
		if err != nil {
			return err
		}
		_, err = e.client.UpdateKeys(ctx, &cloudfrontkeyvaluestore.UpdateKeysInput{KvsARN: &e.arn, IfMatch: now.ETag, Puts: puts, Deletes: deletes})
		if err == nil || !errors.As(err, &conflict) || attempt+1 == edgeAttempts {
			return err
		}
	}
}

// Keys implements driver.Edge.
func (e *Edge) Keys(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		pages := cloudfrontkeyvaluestore.NewListKeysPaginator(e.client, &cloudfrontkeyvaluestore.ListKeysInput{KvsARN: &e.arn, MaxResults: aws.Int32(50)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield("", err)
				return
			}
			for _, item := range page.Items {
				if !yield(aws.ToString(item.Key), nil) {
					return
				}
			}
		}
	}
}
