package api

import (
	"context"
	"net/http"

	"coulisse/node"
	"coulisse/protocol"
)

// governanceRoutes are what an organisation says of its proposals, its voice,
// its keys and its membership.
func governanceRoutes(mux *http.ServeMux, n *node.Node) {
	mux.HandleFunc("DELETE /v1/proposals/{id}", answer(func(r *http.Request) (any, error) {
		return struct{}{}, n.Withdraw(r.Context(), r.PathValue("id"))
	}))
	mux.HandleFunc("GET /v1/delegations", answer(func(*http.Request) (any, error) { return n.Delegations() }))
	mux.HandleFunc("POST /v1/delegations", answer(func(r *http.Request) (any, error) {
		asked, err := body[Delegate](r)
		if err != nil {
			return nil, err
		}
		id, err := n.Delegate(r.Context(), protocol.Delegation{To: asked.To, From: asked.From, Until: asked.Until})
		return Delegated{id}, err
	}))
	mux.HandleFunc("DELETE /v1/delegations/{id}", answer(func(r *http.Request) (any, error) {
		return struct{}{}, n.Revoke(r.Context(), r.PathValue("id"))
	}))
	mux.HandleFunc("POST /v1/simulations", answer(func(r *http.Request) (any, error) {
		asked, err := body[Simulate](r)
		if err != nil {
			return nil, err
		}
		return n.Simulate(asked.Effect, asked.Since)
	}))
	mux.HandleFunc("POST /v1/keys", answer(func(r *http.Request) (any, error) { return struct{}{}, n.ChangeKeys(r.Context()) }))
	mux.HandleFunc("POST /v1/card", answer(func(*http.Request) (any, error) { return n.NewCard() }))
	mux.HandleFunc("DELETE /v1/membership", answer(func(r *http.Request) (any, error) { return struct{}{}, n.Leave(r.Context()) }))
}

// Withdraw takes back a proposal of the organisation.
func (c *Client) Withdraw(ctx context.Context, id string) error {
	_, err := exchange[struct{}](ctx, c, http.MethodDelete, at("proposals", id), nil)
	return err
}

// Delegate lends the organisation's voice.
func (c *Client) Delegate(ctx context.Context, d Delegate) (protocol.Hash, error) {
	reply, err := send[Delegated](ctx, c, http.MethodPost, at("delegations"), d)
	return reply.Delegation, err
}

// Revoke ends a delegation.
func (c *Client) Revoke(ctx context.Context, id string) error {
	_, err := exchange[struct{}](ctx, c, http.MethodDelete, at("delegations", id), nil)
	return err
}

// ChangeKeys replaces the organisation's keys.
func (c *Client) ChangeKeys(ctx context.Context) error {
	_, err := exchange[struct{}](ctx, c, http.MethodPost, at("keys"), nil)
	return err
}

// NewCard makes new keys that wait for a vote, and returns their card.
func (c *Client) NewCard(ctx context.Context) (protocol.Signed[protocol.Card], error) {
	return exchange[protocol.Signed[protocol.Card]](ctx, c, http.MethodPost, at("card"), nil)
}

// Leave ends the organisation's membership.
func (c *Client) Leave(ctx context.Context) error {
	_, err := exchange[struct{}](ctx, c, http.MethodDelete, at("membership"), nil)
	return err
}

// Simulate says what a change of the rules would have refused.
func (c *Client) Simulate(ctx context.Context, s Simulate) (node.Simulation, error) {
	return send[node.Simulation](ctx, c, http.MethodPost, at("simulations"), s)
}
