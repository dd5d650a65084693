// Answers questions, a line of JSON each, with what Go's golang.org/x/mod/sumdb
// says of notes and proofs.
package main

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type question struct {
	Op       string
	Name     string
	Text     string
	Note     string
	Signer   string
	Verifier string
	Proof    []byte // hashes, one behind the other
	Size     int64
	Index    int64
	Old      int64
	Root     []byte
	OldRoot  []byte
	Leaf     []byte
	Leaves   [][]byte // their data
}

type answer struct {
	Error    string
	Text     string
	Note     string
	Signer   string
	Verifier string
	Proof    []byte
	Root     []byte
}

func hash(data []byte) (h tlog.Hash) {
	copy(h[:], data)
	return h
}

func split(proof []byte) (hashes []tlog.Hash) {
	for len(proof) >= tlog.HashSize {
		hashes = append(hashes, hash(proof))
		proof = proof[tlog.HashSize:]
	}
	return hashes
}

func join(hashes []tlog.Hash) (proof []byte) {
	for _, h := range hashes {
		proof = append(proof, h[:]...)
	}
	return proof
}

// store keeps the hashes of a tree as tlog numbers them.
type store []tlog.Hash

func (s store) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, i := range indexes {
		hashes = append(hashes, s[i])
	}
	return hashes, nil
}

func tree(leaves [][]byte) (store, error) {
	var s store
	for i, data := range leaves {
		more, err := tlog.StoredHashes(int64(i), data, s)
		if err != nil {
			return nil, err
		}
		s = append(s, more...)
	}
	return s, nil
}

func reply(q question) (a answer, err error) {
	switch q.Op {
	case "keygen":
		a.Signer, a.Verifier, err = note.GenerateKey(rand.Reader, q.Name)
	case "sign":
		signer, failed := note.NewSigner(q.Signer)
		if failed != nil {
			return a, failed
		}
		var signed []byte
		signed, err = note.Sign(&note.Note{Text: q.Text}, signer)
		a.Note = string(signed)
	case "open":
		verifier, failed := note.NewVerifier(q.Verifier)
		if failed != nil {
			return a, failed
		}
		opened, failed := note.Open([]byte(q.Note), note.VerifierList(verifier))
		if failed != nil {
			return a, failed
		}
		a.Text = opened.Text
	case "record":
		err = tlog.CheckRecord(split(q.Proof), q.Size, hash(q.Root), q.Index,
			hash(q.Leaf))
	case "tree":
		err = tlog.CheckTree(split(q.Proof), q.Size, hash(q.Root), q.Old,
			hash(q.OldRoot))
	case "prove record", "prove tree":
		s, failed := tree(q.Leaves)
		if failed != nil {
			return a, failed
		}
		size := int64(len(q.Leaves))
		root, failed := tlog.TreeHash(size, s)
		if failed != nil {
			return a, failed
		}
		a.Root = root[:]
		if q.Op == "prove record" {
			var proof tlog.RecordProof
			proof, err = tlog.ProveRecord(size, q.Index, s)
			a.Proof = join(proof)
		} else {
			var proof tlog.TreeProof
			proof, err = tlog.ProveTree(size, q.Old, s)
			a.Proof = join(proof)
		}
	default:
		err = fmt.Errorf("no such question: %s", q.Op)
	}
	return a, err
}

func main() {
	in := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var q question
		var a answer
		if err = json.Unmarshal(line, &q); err == nil {
			a, err = reply(q)
		}
		if err != nil {
			a.Error = err.Error()
		}
		if out.Encode(a) != nil {
			os.Exit(1)
		}
	}
}
