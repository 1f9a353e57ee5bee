package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"aptless/core/archive/drop"
	"aptless/core/archive/upload"
	"aptless/core/front/app"
	"aptless/infra/dropfolder"
)

// dropFolder opens the folder of --drop-folder.
func (s *server) dropFolder(a *app.App, config app.Config, opt settings) (*dropfolder.Folder, error) {
	f := &dropfolder.Folder{Blobs: s.data.Blobs, Box: drop.Prefix, Refused: drop.FailedPrefix,
		Max: cmp.Or(config.MaxUpload, upload.DefaultMaxSize), Told: a.Dropped, Log: s.log}
	if err := f.Open(opt.dropFolder); err != nil {
		return nil, fmt.Errorf("--drop-folder: %w", err)
	}
	return f, nil
}

// checkDropFolder refuses a drop folder that is, contains or is in the data folder.
func checkDropFolder(folder, data string) error {
	if folder == "" {
		return nil
	}
	one, err := real(folder)
	if err != nil {
		return fmt.Errorf("--drop-folder: %w", err)
	}
	two, err := real(data)
	if err != nil {
		return err
	}
	if strings.HasPrefix(one+"/", two+"/") || strings.HasPrefix(two+"/", one+"/") {
		return fmt.Errorf("--drop-folder: %s and the data folder %s are in each other", folder, data)
	}
	return nil
}

// real returns the absolute path of a folder without symbolic links. A folder that does not
// exist is that of its parent.
func real(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	to, err := filepath.EvalSymlinks(abs)
	if os.IsNotExist(err) && abs != "/" {
		parent, err := real(filepath.Dir(abs))
		return filepath.Join(parent, filepath.Base(abs)), err
	}
	return to, err
}
