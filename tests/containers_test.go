package tests

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// Facts of the image that the files beside it repeat.
const (
	imagePort   = 8080
	imageFolder = "/var/lib/aptless"
	imageUser   = 65532
)

const containers = "../infra/packaging/container/"

// TestComposeFileFitsTheImage holds that compose.yaml has no unknown keys of a service. Its
// server listens at the port of the image, keeps its data in a volume, and only the proxy is
// open to others.
func TestComposeFileFitsTheImage(t *testing.T) {
	data, err := os.ReadFile(containers + "compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	type service struct {
		Image       string            `yaml:"image"`
		Command     any               `yaml:"command"`
		ReadOnly    bool              `yaml:"read_only"`
		Tmpfs       []string          `yaml:"tmpfs"`
		CapDrop     []string          `yaml:"cap_drop"`
		SecurityOpt []string          `yaml:"security_opt"`
		Volumes     []string          `yaml:"volumes"`
		Restart     string            `yaml:"restart"`
		Ports       []string          `yaml:"ports"`
		DependsOn   []string          `yaml:"depends_on"`
		Stop        string            `yaml:"stop_grace_period"`
		Environment map[string]string `yaml:"environment"`
		Health      struct {
			Test     []string `yaml:"test"`
			Interval string   `yaml:"interval"`
		} `yaml:"healthcheck"`
	}
	var file struct {
		Services map[string]service `yaml:"services"`
		Volumes  map[string]any     `yaml:"volumes"`
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		t.Fatal(err)
	}
	a, caddy := file.Services["aptless"], file.Services["caddy"]
	command, _ := a.Command.([]any)
	if !slices.Contains(command, any("0.0.0.0:8080")) || !slices.Contains(command, any(imageFolder)) || !slices.Contains(command, any("--auth")) {
		t.Errorf("the server is started by %v", command)
	}
	if len(a.Ports) > 0 || !a.ReadOnly || !slices.Contains(a.CapDrop, "ALL") || !slices.Equal(a.Health.Test, []string{"CMD", "/usr/bin/aptless", "healthcheck"}) {
		t.Errorf("the server is %+v", a)
	}
	proxied, _ := caddy.Command.(string)
	if !strings.HasSuffix(proxied, "--to aptless:8080") || !slices.Contains(caddy.Ports, "443:443") {
		t.Errorf("the proxy is %+v", caddy)
	}
	if !slices.Contains(a.Volumes, "data:"+imageFolder) {
		t.Errorf("volumes %v", a.Volumes)
	}
	for _, volume := range append(slices.Clone(a.Volumes), caddy.Volumes...) {
		name, _, _ := strings.Cut(volume, ":")
		if _, ok := file.Volumes[name]; !ok {
			t.Errorf("the volume %s is not declared", name)
		}
	}
}

// TestQuadletFitsTheImage holds that the quadlet keeps the data in a volume, is open to this
// machine only, and has the sections that Podman reads.
func TestQuadletFitsTheImage(t *testing.T) {
	data, err := os.ReadFile(containers + "aptless.container")
	if err != nil {
		t.Fatal(err)
	}
	keys, section := map[string]string{}, ""
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		name, value, pair := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[' && strings.HasSuffix(line, "]"):
			section = line[1 : len(line)-1]
		case pair && section != "":
			keys[section+"."+name] = value
		default:
			t.Errorf("the line %q is no key of a section", line)
		}
	}
	for name, want := range map[string]string{
		"Container.Volume": "aptless:" + imageFolder, "Container.PublishPort": "127.0.0.1:8080:8080", "Container.ReadOnly": "true",
		"Container.DropCapability": "all", "Container.HealthCmd": "/usr/bin/aptless healthcheck", "Install.WantedBy": "multi-user.target", "Service.TimeoutStopSec": "45",
	} {
		if keys[name] != want {
			t.Errorf("%s is %q, want %q", name, keys[name], want)
		}
	}
}

// TestStatefulSetFitsTheImage holds that the objects for Kubernetes name the port, the user
// and the folder of the image. They have one replica, because a data folder has one server.
func TestStatefulSetFitsTheImage(t *testing.T) {
	data, err := os.ReadFile(containers + "kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	type mount struct {
		Name      string `yaml:"name"`
		MountPath string `yaml:"mountPath"`
	}
	type object struct {
		Kind string `yaml:"kind"`
		Spec struct {
			Ports []struct {
				TargetPort int `yaml:"targetPort"`
			} `yaml:"ports"`
			Selector yaml.Node `yaml:"selector"`
			Replicas int       `yaml:"replicas"`
			Template struct {
				Metadata struct {
					Labels map[string]string `yaml:"labels"`
				} `yaml:"metadata"`
				Spec struct {
					SecurityContext struct {
						RunAsUser int `yaml:"runAsUser"`
						FSGroup   int `yaml:"fsGroup"`
					} `yaml:"securityContext"`
					Containers []struct {
						Ports []struct {
							ContainerPort int `yaml:"containerPort"`
						} `yaml:"ports"`
						VolumeMounts []mount `yaml:"volumeMounts"`
					} `yaml:"containers"`
				} `yaml:"spec"`
			} `yaml:"template"`
			VolumeClaimTemplates []struct {
				Metadata struct {
					Name string `yaml:"name"`
				} `yaml:"metadata"`
			} `yaml:"volumeClaimTemplates"`
		} `yaml:"spec"`
	}
	found := map[string]object{}
	d := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var o object
		if err := d.Decode(&o); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		found[o.Kind] = o
	}
	service, set := found["Service"].Spec, found["StatefulSet"].Spec
	if len(service.Ports) != 1 || service.Ports[0].TargetPort != imagePort {
		t.Errorf("the service has the ports %+v", service.Ports)
	}
	pod := set.Template.Spec
	if set.Replicas != 1 || set.Template.Metadata.Labels["app"] != "aptless" || pod.SecurityContext.RunAsUser != imageUser || pod.SecurityContext.FSGroup != imageUser {
		t.Errorf("%d replicas, %+v", set.Replicas, set.Template)
	}
	if len(pod.Containers) != 1 || len(pod.Containers[0].Ports) != 1 || pod.Containers[0].Ports[0].ContainerPort != imagePort {
		t.Fatalf("the containers are %+v", pod.Containers)
	}
	if claims := set.VolumeClaimTemplates; len(claims) != 1 || !slices.Contains(pod.Containers[0].VolumeMounts, mount{claims[0].Metadata.Name, imageFolder}) {
		t.Errorf("claims %+v, mounts %+v", claims, pod.Containers[0].VolumeMounts)
	}
	// The image has the same user and port.
	source, err := os.ReadFile("../infra/packaging/image.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"65532", "8080", imageFolder} {
		if !bytes.Contains(source, []byte(want)) {
			t.Errorf("the image has no %s", want)
		}
	}
}
