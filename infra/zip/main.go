// Command zip packs the programs of the Lambda functions: "zip dist" makes dist/api.zip of
// dist/api/bootstrap, and so on. Equal programs make equal archives.
package main

import (
	"archive/zip"
	"compress/flate"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "zip: the folder of the programs is missing")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "zip:", err)
		os.Exit(1)
	}
}

// run packs every folder of dir that has a program.
func run(dir string, out io.Writer) error {
	programs, err := filepath.Glob(filepath.Join(dir, "*", "bootstrap"))
	if err != nil {
		return err
	}
	if len(programs) == 0 {
		return fmt.Errorf("no program in %s: make functions", dir)
	}
	for _, program := range programs {
		archive := filepath.Dir(program) + ".zip"
		if err := pack(program, archive); err != nil {
			return fmt.Errorf("%s: %w", archive, err)
		}
		fmt.Fprintln(out, archive)
	}
	return nil
}

// pack writes an archive with one program. Its entry has no time, and may be executed.
func pack(program, archive string) (err error) {
	in, err := os.Open(program)
	if err != nil {
		return err
	}
	defer in.Close()
	file, err := os.Create(archive)
	if err != nil {
		return err
	}
	defer func() {
		if closing := file.Close(); err == nil {
			err = closing
		}
	}()
	w := zip.NewWriter(file)
	w.RegisterCompressor(zip.Deflate, func(to io.Writer) (io.WriteCloser, error) { return flate.NewWriter(to, flate.BestCompression) })
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	header.SetMode(0o755)
	entry, err := w.CreateHeader(header)
	if err != nil {
		return err
	}
	if _, err := io.Copy(entry, in); err != nil {
		return err
	}
	return w.Close()
}
