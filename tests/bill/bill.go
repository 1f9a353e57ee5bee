package main

import (
	"fmt"

	"aptless/localstack/host"
)

// deployment has the settings of a template that cost money.
type deployment struct {
	polledQueues, alarms, secrets, traced int
	api, schedule, worker, publish        float64 // GB of memory

	// Dollars for requests of one operation, as docs/cost.md has them for a million.
	upload, imports, publication, mirrored, tick float64
}

// earlier is the deployment with four queues, at revision e9d7009.
var earlier = deployment{polledQueues: 4, alarms: 14, secrets: 2, traced: 1, api: 1.73, schedule: 1.73, worker: 1.73, publish: 1.73,
	upload: 6.5e-6, imports: 34.9e-6, publication: 155e-6, mirrored: 7.4e-6, tick: 0.4e-6}

// read returns the deployment of a template with its defaults.
func read(file string) (deployment, error) {
	d := deployment{upload: 6.5e-6, imports: 37.5e-6, publication: 134.6e-6, mirrored: 7.1e-6, tick: 0.5e-6}
	t, err := host.ReadTemplate(file)
	if err != nil {
		return d, err
	}
	if d.alarms, err = t.Count("AWS::CloudWatch::Alarm"); err != nil {
		return d, err
	}
	if d.secrets, err = t.Count("AWS::SecretsManager::Secret"); err != nil {
		return d, err
	}
	if t.Traced() {
		d.traced = 1
	}
	for name, f := range t.Functions {
		if err := t.Settle(&f); err != nil {
			return d, err
		}
		if f.Queue != "" {
			d.polledQueues++
		}
		to := map[string]*float64{"ApiFunction": &d.api, "ScheduleFunction": &d.schedule, "WorkerFunction": &d.worker, "PublishFunction": &d.publish}[name]
		if to == nil {
			return d, fmt.Errorf("%s: the bill does not know the function %s", file, name)
		}
		*to = float64(f.Memory) / 1024
	}
	return d, nil
}

// month is the work of a month.
type month struct {
	name         string
	publications float64 // each after an upload and an import
	mirrored     float64 // packages that mirrors download
	updates      float64 // of mirrors
	files        float64 // GB of package files in the pool
	published    float64 // GB of copies of package files in the published tree
	table        float64 // GB of rows
	hosts        float64 // that run apt-get update every hour
	sent         float64 // GB that CloudFront sends
}

// months are the examples of docs/cost.md. Package files have 2 MB, and rows of a package
// 5 KB. The mirror has 63,440 packages of 1.5 MB and the pool layout hash, which makes no
// copies; one package in a hundred changes a day.
var months = []month{
	{name: "idle"},
	{name: "ten packages", publications: 30, files: 0.02, published: 0.02, table: 0.001, hosts: 20, sent: 1},
	{name: "10,000 packages", publications: 1500, files: 20, published: 20, table: 0.05, hosts: 200, sent: 20},
	{name: "Debian mirror", publications: 30, mirrored: 18_000, updates: 30, files: 98, table: 0.35, hosts: 200, sent: 100},
}

// List prices of us-east-1 in dollars.
const (
	perGBSecond   = 0.0000133334 // Lambda on arm64
	perInvocation = 0.20e-6
	perQueueCall  = 0.50e-6 // FIFO
	perAPICall    = 1.00e-6
	perSchedule   = 1.00e-6
	perTrace      = 5.00e-6
	perSecret     = 0.40
	perAlarm      = 0.10
	perS3GB       = 0.023
	perTableGB    = 0.25 + 0.20 // with point-in-time recovery
	perLogGB      = 0.50 + 0.03
	perFile       = 0.75e-6 // a GET of CloudFront by http
	perSentGB     = 0.085
)

// Amounts that the code or AWS determine.
const (
	seconds   = 30 * 24 * 3600
	ticks     = seconds / 60
	polls     = seconds / 20 * 5 // of one event source: five long polls of 20 s, which AWS may change
	logOfTick = 1.2e-6           // GB
	logOfTask = 10e-6            // GB, with the API's log
	versions  = 0.05             // GB of former versions for each GB of files: uploads stay a day
	readsHour = 3                // files of an update without news
)

// Seconds of functions; estimates, see docs/cost.md.
const (
	tickTakes   = 0.1
	importTakes = 3.0
	publishes   = 9.0
	mirrorTakes = 0.25 // of a downloaded package
	updateTakes = 10.0 // of a mirror without news
)

// line is a position of a bill. free is the part that a free tier of AWS covers, for accounts
// that do not need the tier for something else.
type line struct {
	name        string
	price, free float64
}

// bill returns the lines of a month.
func (d deployment) bill(m month) []line {
	tasks := 2*m.publications + m.updates
	calls := 3 * m.publications
	compute := ticks*tickTakes*d.schedule + m.publications*(importTakes*d.worker+publishes*d.publish+(importTakes+publishes)*d.api) +
		(m.mirrored*mirrorTakes+m.updates*updateTakes)*d.worker
	invocations := ticks + calls + tasks
	queue := polls*float64(d.polledQueues) + 4*tasks
	requests := ticks*d.tick + m.publications*(d.upload+d.imports+d.publication) + m.mirrored*d.mirrored
	logs := ticks*logOfTick + tasks*logOfTask
	gets, stored := m.hosts*24*30*readsHour, m.files+m.published+versions*m.files
	return []line{
		{"polls and messages of queues", queue * perQueueCall, min(queue, 1e6) * perQueueCall},
		{"secrets", float64(d.secrets) * perSecret, 0},
		{"alarms", float64(d.alarms) * perAlarm, min(float64(d.alarms), 10) * perAlarm},
		{"traces", float64(d.traced) * invocations * perTrace, float64(d.traced) * min(invocations, 1e5) * perTrace},
		{"time of functions", compute*perGBSecond + invocations*perInvocation, min(compute, 4e5)*perGBSecond + min(invocations, 1e6)*perInvocation},
		{"schedule", ticks * perSchedule, ticks * perSchedule},
		{"requests to table and buckets", requests, 0},
		{"calls of the API", calls * perAPICall, 0},
		{"objects", stored * perS3GB, 0},
		{"rows, with recovery", m.table * perTableGB, min(m.table, 25) * 0.25},
		{"logs", logs * perLogGB, min(logs, 5) * perLogGB},
		{"files sent by CloudFront", gets*perFile + m.sent*perSentGB, min(gets, 1e7)*perFile + min(m.sent, 1000)*perSentGB},
	}
}

// sums adds a bill up: at list price, for readers, and with free tiers. The cost of
// CloudFront depends on readers only, and a tier without an end covers a terabyte.
func sums(lines []line) (list, readers, free float64) {
	for _, l := range lines {
		if l.name == "files sent by CloudFront" {
			readers += l.price
		} else {
			list += l.price
		}
		free += l.price - l.free
	}
	return list, readers, free
}
