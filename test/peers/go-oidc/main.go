// A relying party made of coreos/go-oidc and golang.org/x/oauth2, as most Go programs have it. Reads one JSON command a
// line on stdin, answers one JSON line each.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

type command struct {
	Do, Issuer, ClientID, ClientSecret, RedirectURI, Code, State, Nonce, Verifier, Challenge, Scope, Alg string
}

type relyingParty struct {
	provider *oidc.Provider
	verifier *oidc.IDTokenVerifier
	config   oauth2.Config
}

func (rp *relyingParty) do(ctx context.Context, c command) (any, error) {
	switch c.Do {
	case "discover":
		provider, err := oidc.NewProvider(ctx, c.Issuer)
		if err != nil {
			return nil, err
		}
		rp.provider = provider
		var said map[string]any
		return said, provider.Claims(&said)
	case "authorize":
		rp.verifier = rp.provider.Verifier(&oidc.Config{ClientID: c.ClientID, SupportedSigningAlgs: []string{c.Alg}})
		rp.config = oauth2.Config{
			ClientID: c.ClientID, ClientSecret: c.ClientSecret, RedirectURL: c.RedirectURI,
			Endpoint: rp.provider.Endpoint(), Scopes: []string{oidc.ScopeOpenID, "email"},
		}
		return rp.config.AuthCodeURL(c.State, oidc.Nonce(c.Nonce),
			oauth2.SetAuthURLParam("code_challenge", c.Challenge),
			oauth2.SetAuthURLParam("code_challenge_method", "S256")), nil
	case "redeem":
		return rp.redeem(ctx, c)
	}
	return nil, fmt.Errorf("no such command: %s", c.Do)
}

func (rp *relyingParty) redeem(ctx context.Context, c command) (any, error) {
	token, err := rp.config.Exchange(ctx, c.Code, oauth2.SetAuthURLParam("code_verifier", c.Verifier))
	if err != nil {
		return nil, err
	}
	raw, _ := token.Extra("id_token").(string)
	idToken, err := rp.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	if idToken.Nonce != c.Nonce {
		return nil, fmt.Errorf("another nonce: %s", idToken.Nonce)
	}
	if idToken.AccessTokenHash != "" {
		if err := idToken.VerifyAccessToken(token.AccessToken); err != nil {
			return nil, err
		}
	}
	told, err := rp.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, err
	}
	return map[string]any{"sub": idToken.Subject, "issuer": idToken.Issuer, "email": told.Email, "verified": told.EmailVerified, "userinfo": told.Subject}, nil
}

func main() {
	rp := &relyingParty{}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var c command
		answer := map[string]any{}
		err := json.Unmarshal(in.Bytes(), &c)
		if err == nil {
			answer["value"], err = rp.do(context.Background(), c)
		}
		if err != nil {
			answer["failed"] = err.Error()
		}
		_ = out.Encode(answer)
	}
}
