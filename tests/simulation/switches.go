package simulation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// switchedBy is the environment variable that switches a change on, by its number.
const switchedBy = "APTLESS_MUTANT"

// switchPackage is a package that only a program with mutants has.
const switchPackage = `package mutant

import (
	"os"
	"strconv"
)

var on, _ = strconv.Atoi(os.Getenv("` + switchedBy + `"))

func On(n int) bool { return on == n }
`

// source is a file that a program with mutants has instead of its own.
type source struct {
	text   []byte
	set    *token.FileSet
	file   *ast.File
	copies []string       // functions of mutants
	enters map[int]string // statements by which functions begin, by offset
}

func parse(text []byte) (*source, error) {
	s := &source{text: text, set: token.NewFileSet(), enters: map[int]string{}}
	var err error
	s.file, err = parser.ParseFile(s.set, "", text, parser.SkipObjectResolution)
	return s, err
}

// functions returns the functions of the file, and the text of each, by receiver and name.
func (s *source) functions() (funcs map[string]*ast.FuncDecl, texts map[string]string) {
	funcs, texts = map[string]*ast.FuncDecl{}, map[string]string{}
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		name := f.Name.Name
		if f.Recv != nil {
			name = s.between(f.Recv.List[0].Type.Pos(), f.Recv.List[0].Type.End()) + "." + name
		}
		funcs[name], texts[name] = f, s.between(f.Pos(), f.End())
	}
	return funcs, texts
}

func (s *source) offset(p token.Pos) int { return s.set.Position(p).Offset }

func (s *source) between(a, b token.Pos) string { return string(s.text[s.offset(a):s.offset(b)]) }

// add adds the functions that differ in a text of the file, under other names. The
// function of the file calls that of a change while the change is switched on.
func (s *source) add(number int, changed string) error {
	other, err := parse([]byte(changed))
	if err != nil {
		return err
	}
	funcs, texts := s.functions()
	mutants, mutated := other.functions()
	for _, name := range slices.Sorted(maps.Keys(mutated)) {
		if mutated[name] == texts[name] {
			continue
		}
		f, m := funcs[name], mutants[name]
		if f == nil {
			return fmt.Errorf("the mutant has a new function %s", name)
		}
		renamed := fmt.Sprintf("%sMutant%d", f.Name.Name, number)
		s.copies = append(s.copies, other.between(m.Pos(), m.Name.Pos())+renamed+other.between(m.Name.End(), m.End()))
		call, err := callOf(f, renamed)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if f.Type.Results == nil {
			call += "; return"
		} else {
			call = "return " + call
		}
		s.enters[s.offset(f.Body.Lbrace)+1] += fmt.Sprintf("\n\tif mutant.On(%d) { %s }\n", number, call)
	}
	return nil
}

// callOf returns a call with the parameters of a function.
func callOf(f *ast.FuncDecl, name string) (string, error) {
	var args []string
	for _, field := range f.Type.Params.List {
		if len(field.Names) == 0 {
			return "", fmt.Errorf("a parameter has no name")
		}
		for _, n := range field.Names {
			if n.Name == "_" { // the function does not use it
				args = append(args, "*new("+types.ExprString(field.Type)+")")
				continue
			}
			args = append(args, n.Name)
		}
		if _, variadic := field.Type.(*ast.Ellipsis); variadic {
			args[len(args)-1] += "..."
		}
	}
	if f.Recv != nil {
		if len(f.Recv.List[0].Names) == 0 {
			return "", fmt.Errorf("the receiver has no name")
		}
		name = f.Recv.List[0].Names[0].Name + "." + name
	}
	return name + "(" + strings.Join(args, ", ") + ")", nil
}

// whole returns the text of the file with its mutants.
func (s *source) whole() ([]byte, error) {
	var b bytes.Buffer
	at := s.offset(s.file.Name.End())
	b.Write(s.text[:at])
	b.WriteString("\n\nimport \"aptless/core/mutant\"\n")
	for _, enter := range slices.Sorted(maps.Keys(s.enters)) {
		b.Write(s.text[at:enter])
		b.WriteString(s.enters[enter])
		at = enter
	}
	b.Write(s.text[at:])
	for _, c := range s.copies {
		b.WriteString("\n" + c + "\n")
	}
	return format.Source(b.Bytes())
}

// switched returns the files of a program that has all changes. Change n is switched on
// by the number n+1.
func switched(root string, all []Change) (map[string][]byte, error) {
	sources := map[string]*source{}
	for n, c := range all {
		texts, err := c.texts(root)
		if err != nil {
			return nil, err
		}
		for _, path := range slices.Sorted(maps.Keys(texts)) {
			if sources[path] == nil {
				data, err := os.ReadFile(path)
				if err != nil {
					return nil, err
				}
				if sources[path], err = parse(data); err != nil {
					return nil, err
				}
			}
			if err := sources[path].add(n+1, texts[path]); err != nil {
				return nil, fmt.Errorf("mutant %q: %w", c.Name, err)
			}
		}
	}
	files := map[string][]byte{filepath.Join(root, "core/mutant/mutant.go"): []byte(switchPackage)}
	for path, s := range sources {
		var err error
		if files[path], err = s.whole(); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return files, nil
}

// overlay writes the files by which go builds a program with all changes. It returns the
// path of the overlay.
func overlay(root, dir string, all []Change) (string, error) {
	files, err := switched(root, all)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for path, text := range files {
		replace[path] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(replace[path], text, 0o600); err != nil {
			return "", err
		}
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "overlay.json")
	return name, os.WriteFile(name, data, 0o600)
}
