package tests

// commandLine maps the checks of the command line, and of the additions to the API that it
// uses, to tests. TestAcceptanceTable holds that they exist.
var commandLine = []struct{ check, tests string }{
	// Acceptance of the command line.
	{"C1: scripts of aptly run by a link", "TestScriptsOfAptlyRun"},
	{"C2: requests of each command, and each flag of aptly's manual", "TestCommandsOfAptly"},
	{"C3: bytes of repo list, show and add at a pseudo-terminal and in a pipe; NO_COLOR", "TestTerminalAndPipeGolden TestColors TestTerminalsAndPipes"},
	{"C4: an upload is killed at five moments and goes on, memory; the large file has 1 GiB without -short, else 64 MiB", "TestKilledUploadGoesOn TestUploadsGoOnWhereTheyStopped"},
	{"C5: large files pass by the API, 412 is done", "TestSignedPut TestLargeFileIsUploadedInPartsAndImported TestSignedUploadsHaveNoToken TestUploadsFitTheServer"},
	{"C6: each exit code and each hint; a command in a hint is no wrong use, a flag in a hint makes the command succeed", "TestExitCodes TestHints TestHintsOfOtherServers TestRefusedCredentialsHaveACode TestTimeoutTellsTheTask TestErrorsHaveThreeLines"},
	{"C7: no token in outputs, lists of processes, other hosts; modes of files", "TestTokenIsInNoListOfProcesses TestRefusedCredentialsHaveACode TestSignedUploadsHaveNoToken TestProfiles TestTokenCommandPrintsTheToken"},
	{"C8: completion of 10,000 names within its own second, silent servers (bound of the test: 10 s), syntax of the scripts by the shells that are installed", "TestCompletionOfManyNames TestCompletionHasNamesOfTheServer TestCompletionOfEachKind"},
	{"C9: ten pushes at once, and one again", "TestPushesAtOnceLoseNothing TestPushAgainSaysNothingNew"},
	{"C10: an interrupt during an update of a mirror", "TestInterruptOfAMirrorUpdate TestSignalEndsAMirrorUpdate TestInterruptTellsTheTask"},
	{"C11: manual pages pass mandoc", "TestManualPagesHaveAllCommands TestCommandLineIsDocumented"},
	{"C12: doctor finds each of 18 faults and no other; a clock is off by five minutes", "TestDoctorFindsEachFault TestDoctorTellsMirrorsThatWereNeverUpdated"},
	{"C13: a server of aptly is driven: repositories, mirrors, snapshots, publications, files; five calls that it lacks", "TestAptlysServerIsDriven"},
	// Grammar and settings.
	{"2.1: words, typing errors, flags", "TestErrorsHaveThreeLines TestScriptsOfAptlyRun"},
	{"2.1: help begins with a sentence and two examples", "TestHelpBeginsWithASentenceAndTwoExamples"},
	{"2.2: order of settings, profiles, credentials", "TestProfiles TestJobsSignInByTheirIDTokens TestTokenCommandPrintsTheToken TestAWSProfilesSign TestSignAWS"},
	{"2.2: repetition", "TestOnlySafeRequestsAreSentAgain TestUnreachableSaysWhetherTheRequestWasSent"},
	{"2.3: output and control characters", "TestTerminalsAndPipes TestPackagesShowNoControlBytes TestColors"},
	{"2.6: uploads, bars, phases, interrupts", "TestChangesBringTheirFiles TestNamesOfFilesAreCheckedFirst TestBarsHaveATotalLine TestProgressTellsThePhase TestInterruptOfAnUpload TestNoWaitPrintsTheTask TestRemoveFilesKeepsWhatFailed"},
	{"2.7: task run", "TestTaskRunStopsAtTheFirstFailure"},
	{"2.8: history, rollback, plan, previews", "TestRollbackAsksForTheState TestPreviewsChangeNothing"},
	{"2.8: key rotate", "TestKeyRotation"},
	{"2.8: key import, key export", "TestKeysComeFromGnuPGAndGoBack"},
	{"2.8: fsck, with and without a server", "TestFsckSaysByItsExitCode TestFsckOfAStoppedServer"},
	// Additions to the API.
	{"A1: pages of lists", "TestPagesHaveEachElementOnce TestEveryListingHasPages"},
	{"A2: references of a package", "TestReferencesNameEveryHolder TestReferencesNameMirrors"},
	{"A3: files of a package and their URLs", "TestFilesOfAPackage TestFilesOfAPackageHaveTheirURLs"},
	{"A4: phases and progress of tasks", "TestProgressIsShownWithoutAWrite TestDetail TestTasksTellTheirTimesAndErrors"},
	{"A5: ifGeneration", "TestConfirmedChangesNeedTheGenerationSeen TestPreviewsChangeNothing"},
	{"A6: Suite and Codename", "TestSuiteAndCodename"},
	{"A7: architectures and follow of a request", "TestDependenciesFollowTheRequest"},
	{"A8: dry runs", "TestPreviewsOfSnapshots TestPlanOfACleanup TestRemovalByQuery TestMoveIsBothOrNeither TestImportFromAMirror"},
	{"A9: signing keys", "TestDoctorFindsEachFault TestKeyRotation"},
	{"A10: texts of a setup", "TestTreeIsThatOfTheStorage TestSetupHasAllVariants"},
	{"A11: status", "TestStatusCountsAndWarns"},
	{"A12: details of uploads", "TestUploadsTellSizeAndDigest"},
	{"A13: check, storage by object", "TestCheckNamesEachDamage TestCheckCountsStorageByObject"},
	{"A14: settings and sockets of serve", "TestSettingsPrecede TestSocketActivation TestListenOnSocket"},
	{"A15: export and import", "TestExportComesBack TestImportAgainChangesNothing TestTransferKeepsTheTree"},
}
