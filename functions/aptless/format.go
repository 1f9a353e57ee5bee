package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"aptless/core/front/app"
)

// dataFormat is the version of the stored forms in a data folder. A program opens folders
// of its own and of older formats, and converts them where it meets old forms.
//
//	1  folders without a mark
//	2  the published paths of a pool are one inventory, and not a row each; the row of a
//	   package may have a head with its kind and Provides
const dataFormat = 2

// formatName is the file of the mark in the data folder: the format, and the version of the
// program that wrote it.
const formatName = "format"

// maxMark bounds the file of the mark, in bytes.
const maxMark = 256

// checkFormat refuses a data folder that a later program has written.
func checkFormat(data string) error {
	text, err := os.ReadFile(filepath.Join(data, formatName))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return nil
	}
	if err != nil {
		return err
	}
	number, version, _ := strings.Cut(strings.TrimSpace(string(text[:min(len(text), maxMark)])), " ")
	format, err := strconv.Atoi(number)
	if err != nil || format < 1 {
		return fmt.Errorf("%s is damaged: the file says the format of the data, as %d", filepath.Join(data, formatName), dataFormat)
	}
	if format > dataFormat {
		return fmt.Errorf("the data folder %s has format %d, which version %q has written, and this version reads formats up to %d: start that version or a later one",
			data, format, version, dataFormat)
	}
	return nil
}

// markFormat marks a data folder with the format of this program. It replaces the file as a
// whole: a crash leaves the old mark or the new one.
func markFormat(data string) error {
	path := filepath.Join(data, formatName)
	mark := fmt.Sprintf("%d %s\n", dataFormat, app.Version)
	if text, err := os.ReadFile(path); err == nil && string(text) == mark {
		return nil
	}
	f, err := os.CreateTemp(data, formatName+"-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(mark)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
