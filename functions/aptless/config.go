package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/spf13/pflag"

	"aptless/functions/options"
)

// maxConfig bounds a file of settings, in bytes.
const maxConfig = 1 << 20

// configure sets the flags that the command line does not have: by the variables
// APTLESS_<FLAG>, then by the file, "" for none. An unknown key of the file is an error.
func configure(flags *pflag.FlagSet, file string, getenv func(string) string) error {
	if err := options.Apply(flags, getenv, "config", "help"); err != nil {
		return err
	}
	if file == "" {
		return nil
	}
	keys, err := readConfig(file)
	if err != nil {
		return err
	}
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		flag := flags.Lookup(key)
		if flag == nil || key == "config" || key == "help" {
			problems = append(problems, fmt.Errorf("%s: there is no setting %q: the keys are the flags of \"aptless serve --help\"", file, key))
			continue
		}
		if flag.Changed {
			continue
		}
		if err := setFlag(flags, flag, keys[key]); err != nil {
			problems = append(problems, fmt.Errorf("%s: %s: %w", file, key, err))
		}
	}
	return errors.Join(problems...)
}

// readConfig reads a file of settings.
func readConfig(file string) (map[string]any, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	if info.Size() > maxConfig {
		return nil, fmt.Errorf("--config %s: more than %d bytes", file, maxConfig)
	}
	var keys map[string]any
	if _, err := toml.DecodeFile(file, &keys); err != nil {
		return nil, fmt.Errorf("--config %s: %w", file, err)
	}
	return keys, nil
}

// setFlag gives a flag a value of TOML: a string, a number or a boolean. A flag that may be
// repeated takes an array. A flag of name=value pairs takes a table of strings.
func setFlag(flags *pflag.FlagSet, flag *pflag.Flag, value any) error {
	var texts []string
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			text, err := scalar(element)
			if err != nil {
				return err
			}
			texts = append(texts, text)
		}
	case map[string]any:
		if flag.Value.Type() != "stringToString" {
			return errors.New("a table is no value of this setting")
		}
		for _, name := range slices.Sorted(maps.Keys(value)) {
			text, err := scalar(value[name])
			if err != nil {
				return err
			}
			texts = append(texts, name+"="+text)
		}
	default:
		text, err := scalar(value)
		if err != nil {
			return err
		}
		texts = []string{text}
	}
	list, many := flag.Value.(pflag.SliceValue)
	if !many && flag.Value.Type() != "stringToString" {
		if len(texts) != 1 {
			return errors.New("this setting has one value, and not an array")
		}
		return flags.Set(flag.Name, texts[0])
	}
	if many {
		flag.Changed = true
		return list.Replace(texts)
	}
	for _, text := range texts {
		if err := flags.Set(flag.Name, text); err != nil {
			return err
		}
	}
	return nil
}

// scalar returns the text of a string, a number or a boolean.
func scalar(value any) (string, error) {
	switch value := value.(type) {
	case string:
		if strings.ContainsAny(value, "\n\x00") {
			return "", errors.New("the text has more than one line")
		}
		return value, nil
	case int64:
		return strconv.FormatInt(value, 10), nil
	case bool:
		return strconv.FormatBool(value), nil
	}
	return "", errors.New("a value is a text, a whole number, true or false")
}
