package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// acceptance maps the numbered checks of the API's specifications to tests. Each check
// has a short description.
var acceptance = []struct{ check, tests string }{
	// The API: repositories.
	{"1, 2: a repository is created, shown, listed", "TestRepoIsCreatedShownAndListed"},
	{"3: it is dropped once", "TestRepoIsDroppedOnce"},
	{"4: not with snapshots and publications, unless forced", "TestDropRepoWithSnapshots"},
	{"5: made from a snapshot", "TestRepoIsCreatedFromSnapshot"},
	{"6, 7: edited and renamed", "TestRepoIsEditedAndRenamed"},
	// Imports.
	{"8, 9, 10, 11: source packages, other files, by name", "TestImportRemovesTheFilesOfTheSource"},
	{"12, 13: binary packages and their keys, several versions", "TestKeyOfDebIsWhatClientsCompute"},
	{"14: conflicts, and force", "TestImportKeepsConflictsOutOrReplaces"},
	// Queries, packages, copies.
	{"15: queries", "TestListingsAnswerQueries"},
	{"16: packages by key", "TestPackagesAreAddedAndRemovedByKey"},
	{"17: copies", "TestCopyBetweenRepos"},
	// .changes.
	{"18: included, signature ignored", "TestIncludeAddsAndRemovesUpload"},
	{"19: sent by dput", "TestIncludeByDput"},
	{"20: without the key, and with it", "TestIncludeNeedsTheSignersKey"},
	{"21: unsigned, wrong, missing", "TestIncludeWarnsOfEachChanges"},
	// Files, tasks and the rest.
	{"22: the upload area", "TestUploadsAreListedAndRemoved"},
	{"23: nothing outside it", "TestUploadNamesLeadNowhereElse"},
	{"24: packages", "TestPackagesAreFoundByKey"},
	{"25: tasks", "TestTasksOfOneObjectFollowEachOther TestUpdatingMirrorShowsItsOldState"},
	{"26: cleanup", "TestCleanupReportsItsEffects TestNeedsOfChangingReposStay"},
	{"27: graph", "TestGraphDrawsWhatIsThere TestGraphviz"},
	{"28: metrics", "TestMetrics"},
	{"29: probes, storage, documents", "TestProbes TestStorage TestDocs"},
	{"30: keys", "TestKeysAreImportedListedAndDeleted TestReceiveKeys"},
	// Publishing.
	{"publish 1, 2, 3: object, statuses, paths", "TestPublishObjectStatusesEscaping"},
	{"publish 4: fields", "TestPublishUnknownFields"},
	{"publish 5, 7, 8: components, pending changes", "TestPublishPending"},
	{"publish 6: architectures", "TestPublishArchitecturesFrozen"},
	{"publish 9: kept settings", "TestPublishKeepsAndSwitches"},
	{"publish 10, 11, 12, 13: files", "TestPublishFiles TestAptly"},
	{"publish 14, 15, 16: conflicts, detail, drop", "TestPublishConflictDetailDrop"},
	// Mirrors and snapshots.
	{"mirrors 3.1, 3.2, 3.6: list, show, drop", "TestMirrorIsCreatedShownAndDropped"},
	{"mirrors 3.3: create", "TestCreateMirrorChecksItsArguments TestOneOfManyCreationsWins"},
	{"mirrors 3.4: edit", "TestEditChangesAllOrNothing TestEditIsRefusedWhileUpdating"},
	{"mirrors 3.5, 4.4: update", "TestUpdateFollowsTheArchive TestFailedUpdateChangesNothing TestUpdateRenamesTheMirror"},
	{"mirrors 4.5: indexes and filters", "TestUpdateAppliesTheFilter TestFlatMirrorTakesAllArchitectures TestInstallerIsOnePackage"},
	{"mirrors 4.6: files", "TestIgnoreChecksumsTakesDifferingFiles TestFilesOfThePoolAreNotFetched"},
	{"mirrors 4.7: AppStream", "TestAppStreamFilesArePublished"},
	{"mirrors 4.8, 4.9: while it is updated", "TestUpdatingMirrorShowsItsOldState"},
	{"snapshots 5.4, 5.5, 5.6: create", "TestSnapshotOfRepo TestSnapshotInheritsMetaOfItsMirror TestCreateSnapshot"},
	{"snapshots 5.7, 5.8: change, drop", "TestUpdateSnapshot TestDropSnapshot"},
	{"snapshots 5.9: diff", "TestDiffSnapshots"},
	{"snapshots 5.10: merge", "TestMergeSnapshots"},
	{"snapshots 5.11: pull", "TestPullSnapshot TestDryRunOfAPullReportsItsEffects"},
	// Readers of publications besides apt-get update and install.
	{"debmirror, debootstrap, apt-get source, apt --snapshot", "TestDebmirror TestDebootstrap TestSource TestSnapshot"},
}

// TestAcceptanceTable holds that the named tests exist.
func TestAcceptanceTable(t *testing.T) {
	there := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				there[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range append(slices.Clone(acceptance), commandLine...) {
		for name := range strings.FieldsSeq(a.tests) {
			if !there[name] {
				t.Errorf("%s: there is no %s", a.check, name)
			}
		}
	}
}
