// What one write asks for (changes), and what that means for rows with ids (row changes).
import type { SqlValue } from "../core/database.ts";
import type { HolderId, TrashId, VolumeName } from "../core/names.ts";
import type {
  AliasEntry,
  HistoryEntry,
  HolderEntry,
  KnownEngine,
  RetiredEntry,
  VolumeEntry,
} from "../core/state-store.ts";

/** An engine's key is its row's id: nothing is to be added. */
export type EngineChange =
  | { readonly kind: "putEngine"; readonly entry: KnownEngine }
  | { readonly kind: "removeEngine"; readonly key: string };

/** One step of a transaction, in the words of the contract. */
export type Change =
  | { readonly kind: "putVolume"; readonly entry: VolumeEntry }
  | { readonly kind: "removeVolume"; readonly name: VolumeName }
  | { readonly kind: "putAlias"; readonly entry: AliasEntry }
  | { readonly kind: "removeAlias"; readonly alias: VolumeName }
  | { readonly kind: "putHolder"; readonly entry: HolderEntry }
  | { readonly kind: "removeHolder"; readonly volume: VolumeName; readonly holder: HolderId }
  | { readonly kind: "putRetired"; readonly entry: RetiredEntry }
  | { readonly kind: "removeRetired"; readonly id: TrashId }
  | EngineChange
  | { readonly kind: "addHistory"; readonly entry: HistoryEntry };

/** The same with the row it is about. `isNew`: the row is inserted and not replaced. */
export type RowChange =
  | {
      readonly kind: "putVolume";
      readonly rowId: number;
      readonly isNew: boolean;
      readonly entry: VolumeEntry;
    }
  | { readonly kind: "removeVolume"; readonly rowId: number; readonly name: VolumeName }
  | { readonly kind: "putAlias"; readonly volumeRowId: number; readonly entry: AliasEntry }
  | { readonly kind: "removeAlias"; readonly volumeRowId: number; readonly alias: VolumeName }
  | { readonly kind: "putHolder"; readonly volumeRowId: number; readonly entry: HolderEntry }
  | {
      readonly kind: "removeHolder";
      readonly volumeRowId: number;
      readonly volume: VolumeName;
      readonly holder: HolderId;
    }
  | {
      readonly kind: "putRetired";
      readonly rowId: number;
      readonly isNew: boolean;
      readonly entry: RetiredEntry;
    }
  | { readonly kind: "removeRetired"; readonly rowId: number; readonly id: TrashId }
  | EngineChange
  | { readonly kind: "addHistory"; readonly rowId: number; readonly entry: HistoryEntry };

/** The ids that the next new rows get. */
export interface NextRowIds {
  readonly volume: number;
  readonly retired: number;
  readonly history: number;
}

/** A row change with what it stores: all columns after the numeric id; nothing for removals. */
export interface PlannedRow {
  readonly change: RowChange;
  readonly values: readonly SqlValue[];
}
