// Answers questions, a line of JSON each, with what Go's golang.org/x/mod/sumdb
// says of notes and proofs.
package main

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
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
	Time     uint64   // seconds
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

// witness signs as c2sp.org/tlog-cosignature has it, with a new key.
type witness struct {
	name string
	key  ed25519.PrivateKey
	time uint64
}

func (w witness) public() []byte {
	return append([]byte{4}, w.key.Public().(ed25519.PublicKey)...)
}

func (w witness) Name() string { return w.name }

func (w witness) KeyHash() uint32 {
	h := sha256.Sum256(append([]byte(w.name+"\n"), w.public()...))
	return binary.BigEndian.Uint32(h[:])
}

func (w witness) Sign(text []byte) ([]byte, error) {
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", w.time, text)
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], w.time)
	return append(at[:], ed25519.Sign(w.key, []byte(message))...), nil
}

// cosign adds the line of a witness to a note that the log signed.
func cosign(q question) (a answer, err error) {
	verifier, err := note.NewVerifier(q.Verifier)
	if err != nil {
		return a, err
	}
	opened, err := note.Open([]byte(q.Note), note.VerifierList(verifier))
	if err != nil {
		return a, err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return a, err
	}
	w := witness{q.Name, key, q.Time}
	signed, err := note.Sign(opened, w)
	a.Note = string(signed)
	a.Verifier = fmt.Sprintf("%s+%08x+%s", w.name, w.KeyHash(),
		base64.StdEncoding.EncodeToString(w.public()))
	return a, err
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
	case "cosign":
		return cosign(q)
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
