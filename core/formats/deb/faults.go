package deb

import (
	"fmt"
	"slices"
	"strings"
)

// maxFaults bounds the reported faults of a control file.
const maxFaults = 10

// controlFaults returns the reasons for which dpkg 1.21.22 refuses a control file
// that ParseParagraph reads. Each text names the field.
func controlFaults(control string) []string {
	var faults []string
	add := func(format string, args ...any) {
		if len(faults) < maxFaults {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	if control != "" && !strings.HasSuffix(control, "\n") {
		add("its control file does not end with a line feed")
	} else if last := lastField(control); last != "" {
		add("the last field, %.100s, has no value", last)
	}
	lines := strings.Split(strings.Trim(control, "\n"), "\n")
	seen := map[string]bool{}
	field := ""
	for i, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		switch {
		case strings.TrimRight(line, "\r") == "":
			if strings.TrimSpace(strings.Join(lines[i:], "")) != "" {
				add("its control file has several paragraphs")
			}
			return append(faults, fieldFaults(control, maxFaults-len(faults))...)
		case isBlank(line[0]) && strings.TrimSpace(line) == "":
			add("a line of the field %s is blank", field)
		case isBlank(line[0]):
		case strings.HasPrefix(name, "-"):
			add("the field name %.100q begins with a hyphen", name)
		case strings.ContainsAny(strings.TrimRight(name, " \t"), " \t"):
			add("the field name %.100q has a blank in it", name)
		default:
			field = CanonicalName(strings.TrimRight(name, " \t"))
			if seen[field] {
				add("the field %.100s is there twice", field)
			}
			seen[field] = true
			if slices.Contains([]string{"Status", "Config-Version", "Triggers-Pending", "Triggers-Awaited"}, field) && strings.TrimSpace(value) != "" {
				add("the field %s is not one of a package", field)
			}
		}
	}
	return append(faults, fieldFaults(control, maxFaults-len(faults))...)
}

// lastField returns the name of a control file's last field if the file ends
// before its value: "Depends:" alone in the last line.
func lastField(control string) string {
	control = strings.TrimSuffix(control, "\n")
	line := control[strings.LastIndexByte(control, '\n')+1:]
	name, value, ok := strings.Cut(line, ":")
	if !ok || name == "" || isBlank(name[0]) || strings.TrimSpace(value) != "" {
		return ""
	}
	return strings.TrimRight(name, " \t")
}

// fieldFaults returns at most limit faults of the fields of a control file.
func fieldFaults(control string, limit int) []string {
	p, err := ParseParagraph(control, ModeControl)
	if err != nil {
		return nil
	}
	var faults []string
	for _, f := range p {
		fault := ""
		switch f.Name {
		case "Version":
			fault = versionFault(f.Value)
		case "Essential", "Protected":
			fault = oneOf(f.Value, "yes", "no")
		case "Multi-Arch":
			fault = oneOf(f.Value, "no", "same", "foreign", "allowed")
			if strings.EqualFold(f.Value, "same") && p.Get("Architecture") == AllArch {
				fault = "\"same\" is not for the architecture all"
			}
		case "Depends", "Pre-Depends", "Recommends", "Suggests", "Enhances":
			fault = relationFault(f.Value, true)
		case "Conflicts", "Breaks", "Replaces", "Provides":
			fault = relationFault(f.Value, false)
		}
		if fault != "" && len(faults) < limit {
			faults = append(faults, fmt.Sprintf("field %s: %s", f.Name, fault))
		}
	}
	return faults
}

// oneOf returns a fault unless the value is an allowed one.
func oneOf(value string, allowed ...string) string {
	if value == "" || slices.Contains(allowed, strings.ToLower(value)) {
		return ""
	}
	return fmt.Sprintf("%.100q is not one of %s", value, strings.Join(allowed, ", "))
}

// versionFault returns a fault if dpkg refuses a version that CheckVersion
// accepts. dpkg requires a leading digit and refuses underscores.
func versionFault(version string) string {
	if _, rest, ok := strings.Cut(version, ":"); ok {
		version = rest
	}
	switch {
	case version == "":
		return ""
	case !isDigit(version[0]):
		return fmt.Sprintf("%.100q does not begin with a digit", version)
	case strings.Contains(version, "_"):
		return fmt.Sprintf("%.100q has an underscore", version)
	}
	return ""
}

// relationFault returns a fault if dpkg cannot read a relation field.
// alternatives says whether the field may have alternatives.
func relationFault(value string, alternatives bool) string {
	if value == "" {
		return ""
	}
	for item := range strings.SplitSeq(value, ",") {
		if !alternatives && strings.Contains(item, "|") {
			return fmt.Sprintf("%.100q has alternatives", strings.TrimSpace(item))
		}
		for one := range strings.SplitSeq(item, "|") {
			if one = strings.TrimSpace(one); one == "" {
				return "a package name is missing"
			}
			if !isRelation(one) {
				return fmt.Sprintf("%.100q is no relation", one)
			}
		}
	}
	return ""
}

// isRelation reports whether dpkg reads an item of a relation field: a name,
// ":architecture", and a version in parentheses.
func isRelation(item string) bool {
	name, version, hasVersion := strings.Cut(item, "(")
	name, arch, hasArch := strings.Cut(strings.TrimSpace(name), ":")
	if CheckName(name) != nil || hasArch && !consistsOf(arch, "-") {
		return false
	}
	if !hasVersion {
		return true
	}
	version, closed := strings.CutSuffix(version, ")")
	if !closed || strings.Contains(version, "(") {
		return false
	}
	version = strings.TrimLeft(version, " \t")
	n := 0
	for n < len(version) && strings.IndexByte("<>=", version[n]) >= 0 {
		n++
	}
	switch version[:n] {
	case "", "<", ">", "=", "<=", ">=", "<<", ">>":
	default:
		return false
	}
	version = strings.TrimSpace(version[n:])
	return validVersion(version) && versionFault(version) == ""
}

// sourceFault returns a fault if the field Source names no source package (Debian
// policy 5.6.1). dpkg and apt ignore the field.
func sourceFault(control string) string {
	p, err := ParseParagraph(control, ModeControl)
	if source := p.Get("Source"); err == nil && source != "" && CheckName(sourceName(source)) != nil {
		return fmt.Sprintf("field Source: %.100q names no source package, the package's own name stands for it", source)
	}
	return ""
}
