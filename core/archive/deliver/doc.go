// Package deliver owns deliveries: files that are imported into a local
// repository and, if the request says so, published, in one task.
//
// It stores nothing of its own. The files of a delivery are in their own directory
// of the upload area (upload.NewDelivery), which clients do not see.
//
// Invariants:
//
//  1. Both or neither. One transaction writes the row of the repository and the row
//     of the publication. Before it any refusal fails the task, and the task is
//     undone: the repository and the publication are as they were.
//  2. A file that cannot be imported refuses the whole delivery, unless the delivery is
//     partial: packages that arrive on their own in the drop box.
//  3. The directory is removed however the task ends. The transaction owes the
//     removal, as it owes the apply of the publication.
//     Files of the drop box go with it, or are put aside if they were refused.
//  4. The task holds its locks from beginning to end, also between slices. They are
//     those of the repository, the publication, its package files and the directory.
package deliver
