// What goes wrong with snapshots: a state that cannot be kept, or bytes that are no snapshot.

/** A state holds what no file can keep, or a file is damaged, of another version, or no snapshot at all. Nothing was changed. */
export class SnapshotError extends Error {
  /** The class's name, for what is told apart by name. */
  override readonly name = "SnapshotError";
}
