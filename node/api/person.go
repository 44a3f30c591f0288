package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"coulisse/crypto/seal"
	"coulisse/node"
	"coulisse/node/warehouse"
)

// Search asks for people. It travels in a body: addresses end up in logs.
type Search struct {
	Words string `json:"words"`
	// Region is of telephones without a country code.
	Region string `json:"region,omitempty"`
}

// personRoutes are what the member does for a person who asks.
func personRoutes(mux *http.ServeMux, h *node.House) {
	mux.HandleFunc("POST /v1/people/find", answer(func(r *http.Request) (any, error) {
		asked, err := body[Search](r)
		if err != nil {
			return nil, err
		}
		return h.FindPeople(r.Context(), asked.Words, asked.Region)
	}))
	mux.HandleFunc("POST /v1/people/readmit", answer(func(r *http.Request) (any, error) {
		asked, err := body[Search](r)
		if err != nil {
			return nil, err
		}
		return struct{}{}, h.Readmit(asked.Words, asked.Region)
	}))
	mux.HandleFunc("GET /v1/people/{number}", about(func(r *http.Request, id warehouse.PersonID) (any, error) {
		return h.Person(r.Context(), id)
	}))
	mux.HandleFunc("PATCH /v1/people/{number}", about(func(r *http.Request, id warehouse.PersonID) (any, error) {
		asked, err := body[node.Correction](r)
		if err != nil {
			return nil, err
		}
		return h.Rectify(r.Context(), id, asked)
	}))
	mux.HandleFunc("DELETE /v1/people/{number}", about(func(r *http.Request, id warehouse.PersonID) (any, error) {
		return h.Erase(r.Context(), id)
	}))
	mux.HandleFunc("GET /v1/people/{number}/copy", func(w http.ResponseWriter, r *http.Request) {
		id, err := numbered(r)
		var copied []byte
		if err == nil {
			copied, err = h.ExportPerson(r.Context(), id)
		}
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/zip")
		_, _ = w.Write(copied) // whoever asked has gone away
	})
	mux.HandleFunc("GET /v1/data", func(w http.ResponseWriter, r *http.Request) {
		out := &begun{w: w}
		err := h.ExportData(r.Context(), seal.Recipient(r.URL.Query().Get("to")), out)
		switch {
		case err == nil:
		case !out.begun:
			refuse(w, err)
		default:
			panic(http.ErrAbortHandler) // so that whoever reads is told that it is not whole
		}
	})
	mux.HandleFunc("GET /v1/erasures", answer(func(*http.Request) (any, error) { return h.Erasures() }))
}

// about answers about the person whose number is in the path.
func about(call func(*http.Request, warehouse.PersonID) (any, error)) http.HandlerFunc {
	return answer(func(r *http.Request) (any, error) {
		id, err := numbered(r)
		if err != nil {
			return nil, err
		}
		return call(r, id)
	})
}

func numbered(r *http.Request) (warehouse.PersonID, error) {
	number, err := strconv.ParseInt(r.PathValue("number"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: a person has a number", errRequest)
	}
	return warehouse.PersonID(number), nil
}

// begun is an answer that remembers whether some of it went out.
type begun struct {
	w     http.ResponseWriter
	begun bool
}

// Write implements io.Writer.
func (b *begun) Write(p []byte) (int, error) {
	if !b.begun {
		b.w.Header().Set("Content-Type", "application/x-tar")
		b.begun = true
	}
	return b.w.Write(p)
}

func person(id warehouse.PersonID) string { return at("people", strconv.FormatInt(int64(id), 10)) }

// FindPeople looks for people.
func (c *Client) FindPeople(ctx context.Context, s Search) (node.FoundPeople, error) {
	return send[node.FoundPeople](ctx, c, http.MethodPost, at("people", "find"), s)
}

// Readmit lets somebody who was erased in again.
func (c *Client) Readmit(ctx context.Context, s Search) error {
	_, err := send[struct{}](ctx, c, http.MethodPost, at("people", "readmit"), s)
	return err
}

// Person is everything that the node holds of one.
func (c *Client) Person(ctx context.Context, id warehouse.PersonID) (node.PersonPage, error) {
	return get[node.PersonPage](ctx, c, person(id))
}

// Rectify corrects what is held of a person.
func (c *Client) Rectify(ctx context.Context, id warehouse.PersonID, to node.Correction) (node.Rectified, error) {
	return send[node.Rectified](ctx, c, http.MethodPatch, person(id), to)
}

// ErasePerson erases one.
func (c *Client) ErasePerson(ctx context.Context, id warehouse.PersonID) (node.Erasure, error) {
	return exchange[node.Erasure](ctx, c, http.MethodDelete, person(id), nil)
}

// CopyPerson is everything that is held of a person, as a zip.
func (c *Client) CopyPerson(ctx context.Context, id warehouse.PersonID) ([]byte, error) {
	answer, err := c.call(ctx, http.MethodGet, person(id)+"/copy", nil)
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	return io.ReadAll(io.LimitReader(answer, maxAnswer))
}

// Data is everything that the house owns, as a tar of files that are sealed for
// a recipient, or for the folder's own identity if it is empty. The caller
// closes it.
func (c *Client) Data(ctx context.Context, to seal.Recipient) (io.ReadCloser, error) {
	return c.call(ctx, http.MethodGet, at("data")+"?"+url.Values{"to": {string(to)}}.Encode(), nil)
}

// Erasures lists what was erased.
func (c *Client) Erasures(ctx context.Context) ([]node.Erasure, error) {
	return get[[]node.Erasure](ctx, c, at("erasures"))
}
