// Package memberstest owns readers for tests of package members. They are
// independent of the encoders under test. It stores nothing.
package memberstest
