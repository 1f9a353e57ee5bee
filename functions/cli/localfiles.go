package cli

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"aptless/core/client"
)

// localFile is a file to upload.
type localFile struct {
	path, name, sha256 string
	size               int64
}

// kinds are the endings of files that a folder is searched for.
var kinds = []string{".deb", ".udeb", ".ddeb", ".dsc", ".changes"}

// maxControl bounds a .dsc or .changes that is read, in bytes.
const maxControl = 4 << 20

// collect finds the files of arguments: files, folders, and names from stdin for "-".
// A .dsc and a .changes bring the files that they list. A missing file is an error. Under
// the name aptly it is left out, and the list may be empty.
func (s *session) collect(args []string) ([]localFile, error) {
	files, err := s.find(args)
	var wrong *usage
	if s.alias && errors.As(err, &wrong) { // aptly counts it as a failure
		err = errors.New(wrong.text)
	}
	return files, err
}

// skip leaves a file out, as aptly does. Under another name it returns false.
func (s *session) skip(path string, err error) bool {
	if s.alias {
		fmt.Fprintf(s.env.Err, "[!] Unable to process %s: %s\n", clean(path), clean(err.Error()))
		s.skipped = append(s.skipped, path)
	}
	return s.alias
}

// packagesOf leaves out the arguments of "repo add" that are files of another kind. Only
// aptly refuses them: a server ignores them.
func (s *session) packagesOf(args []string) []string {
	if !s.alias {
		return args
	}
	return slices.DeleteFunc(slices.Clone(args), func(path string) bool {
		info, err := os.Stat(path)
		ext := filepath.Ext(path)
		return err == nil && info.Mode().IsRegular() && (ext == ".changes" || !slices.Contains(kinds, ext)) && s.skip(path, errors.New("unknown file extension"))
	})
}

func (s *session) find(args []string) ([]localFile, error) {
	var paths []string
	for _, arg := range args {
		if arg == "-" {
			for in := bufio.NewScanner(s.env.In); in.Scan(); {
				if line := strings.TrimSpace(in.Text()); line != "" {
					paths = append(paths, line)
				}
			}
			continue
		}
		paths = append(paths, arg)
	}
	found := map[string]bool{}
	var order []string
	add := func(path string) {
		if !found[path] {
			found[path] = true
			order = append(order, path)
		}
	}
	for _, path := range paths {
		if err := walk(path, add); err != nil && !s.skip(path, err) {
			return nil, usagef("%v", err)
		}
	}
	for i := 0; i < len(order); i++ {
		if ext := filepath.Ext(order[i]); ext == ".dsc" || ext == ".changes" {
			listed, err := listedFiles(order[i])
			if err != nil {
				return nil, usagef("%v", err)
			}
			for _, name := range listed {
				add(filepath.Join(filepath.Dir(order[i]), name))
			}
		}
	}
	return s.digest(paths, order)
}

// walk calls add for a file, or for the packages in and below a folder.
func walk(path string, add func(string)) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		add(path)
		return nil
	}
	return filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && slices.Contains(kinds, filepath.Ext(p)) {
			add(p)
		}
		return err
	})
}

// listedFiles returns the names in the field Files of a .dsc or .changes: the last word
// of each line (Debian policy 5.6.21).
func listedFiles(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var names []string
	within := false
	in := bufio.NewScanner(io.LimitReader(f, maxControl))
	for in.Scan() {
		line := in.Text()
		if within && strings.HasPrefix(line, " ") {
			words := strings.Fields(line)
			name := ""
			if len(words) > 0 {
				name = words[len(words)-1]
			}
			if name == "" || strings.ContainsRune(name, '/') {
				return nil, fmt.Errorf("%s: invalid line in Files: %q", path, line)
			}
			names = append(names, name)
			continue
		}
		within = strings.EqualFold(strings.TrimSpace(line), "Files:")
	}
	return names, in.Err()
}

// digest reads each file. Two files of one name must be equal, since the upload area has
// one folder.
func (s *session) digest(given, paths []string) ([]localFile, error) {
	byName := map[string]localFile{}
	var all []localFile
	for _, path := range paths {
		f, err := readLocal(path)
		if err != nil && s.skip(path, err) {
			continue
		}
		if err != nil {
			return nil, usagef("%v", err)
		}
		if other, ok := byName[f.name]; ok {
			if other.sha256 != f.sha256 {
				return nil, usagef("%s and %s have the same name and differ", other.path, f.path)
			}
			continue
		}
		byName[f.name] = f
		all = append(all, f)
	}
	if len(all) == 0 && !s.alias {
		return nil, usagef("no package files are found in %s: their names end in %s", strings.Join(given, " "), strings.Join(kinds, " "))
	}
	return all, nil
}

// archive begins each .deb (deb(5)).
const archive = "!<arch>\n"

func readLocal(path string) (localFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return localFile{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", path)
	}
	if err != nil {
		return localFile{}, err
	}
	if name := filepath.Base(path); !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) || strings.HasPrefix(name, ".") {
		return localFile{}, fmt.Errorf("%q is no name of a file that a server takes", name)
	}
	hash, begin := sha256.New(), make([]byte, len(archive))
	n, err := io.ReadFull(f, begin)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return localFile{}, err
	}
	if ext := filepath.Ext(path); (ext == ".deb" || ext == ".udeb" || ext == ".ddeb") && string(begin[:n]) != archive {
		return localFile{}, fmt.Errorf("%s is no Debian package", path)
	}
	hash.Write(begin[:n])
	if _, err := io.Copy(hash, f); err != nil {
		return localFile{}, err
	}
	return localFile{path, filepath.Base(path), hex.EncodeToString(hash.Sum(nil)), info.Size()}, nil
}

// directory names the upload directory of files for a repository. Equal files have an
// equal name, so a repeated command goes on where the last one stopped.
func directory(repo string, files []localFile) string {
	hash := sha256.New()
	io.WriteString(hash, repo)
	sums := []string{}
	for _, f := range files {
		sums = append(sums, f.name+"\x00"+f.sha256)
	}
	slices.Sort(sums)
	for _, sum := range sums {
		io.WriteString(hash, "\x00"+sum)
	}
	return "push-" + hex.EncodeToString(hash.Sum(nil))[:20]
}

// uploaded counts an upload.
type uploaded struct {
	Files, Sent, There int // There: files that the server had
	Bytes              int64
}

// Limits of the files that one request has together. A request through API Gateway has
// at most client.MaxInRequest bytes.
const (
	together      = 200
	togetherBytes = client.MaxInRequest / 2
)

// batches groups small files. A larger file is alone.
func batches(files []localFile) [][]localFile {
	var all [][]localFile
	var open []localFile
	size := int64(0)
	for _, f := range files {
		if f.size > togetherBytes/4 {
			all = append(all, []localFile{f})
			continue
		}
		if len(open) == together || size+f.size > togetherBytes {
			all, open, size = append(all, open), nil, 0
		}
		open, size = append(open, f), size+f.size
	}
	if len(open) > 0 {
		all = append(all, open)
	}
	return all
}

// upload sends files to an upload directory, some at a time. A file that is there with
// equal size and digest is not sent.
func (s *session) upload(ctx context.Context, dir string, files []localFile) (uploaded, error) {
	c, err := s.connect()
	if err != nil {
		return uploaded{}, err
	}
	defer s.reporter.close()
	there, err := c.Uploaded(ctx, dir)
	if err != nil {
		return uploaded{}, err
	}
	total := uploaded{Files: len(files)}
	var missing []localFile
	for _, f := range files {
		if has := there[f.name]; has.SHA256 == f.sha256 && has.Size == f.size {
			total.There++
		} else {
			missing = append(missing, f)
		}
	}
	if len(missing) > 0 {
		s.reporter.sent(total.There, len(files))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work, mu, wait := make(chan []localFile), sync.Mutex{}, sync.WaitGroup{}
	for range s.workers() {
		wait.Go(func() {
			for batch := range work {
				if err := s.uploadBatch(ctx, c, dir, batch); err != nil {
					cancel(err)
					continue
				}
				mu.Lock()
				for _, f := range batch {
					total.Sent, total.Bytes = total.Sent+1, total.Bytes+f.size
				}
				done := total.Sent + total.There
				mu.Unlock()
				s.reporter.sent(done, len(files))
			}
		})
	}
	s.sending = true
	for _, batch := range batches(missing) {
		if ctx.Err() != nil {
			break
		}
		work <- batch
	}
	close(work)
	wait.Wait()
	s.sending = context.Cause(ctx) != nil
	return total, context.Cause(ctx)
}

// workers is the number of requests at a time.
func (s *session) workers() int {
	switch {
	case s.opts.parallel > 0:
		return s.opts.parallel
	case s.settings.Parallel > 0:
		return s.settings.Parallel
	}
	return 4
}

func (s *session) uploadBatch(ctx context.Context, c *client.Client, dir string, batch []localFile) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	name, size := batch[0].name, int64(0)
	if len(batch) > 1 {
		name += fmt.Sprintf(" and %d more", len(batch)-1)
	}
	for _, f := range batch {
		size += f.size
	}
	progress, end := s.reporter.transfer(name, size)
	var list []client.Local
	before := int64(0) // bytes of the files before this one
	for _, f := range batch {
		begin := before
		list = append(list, client.Local{Name: f.name, Size: f.size, SHA256: f.sha256, Sent: func(n int64) { progress(begin + n) },
			Open: func() (io.ReadCloser, error) { return os.Open(f.path) }})
		before += f.size
	}
	var err error
	if len(list) == 1 {
		err = c.Upload(ctx, dir, list[0])
	} else {
		err = c.UploadAll(ctx, dir, list)
	}
	end(err)
	if err != nil {
		return fmt.Errorf("%s: %w", batch[0].path, err)
	}
	return nil
}
