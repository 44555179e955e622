//! What a run has read so far and what it would change, in a file of its own beside the state file.
//!
//! Nothing in here is believed before the listing has ended; the file can be thrown away at any time.

mod changes;
mod edges;
mod joined;
mod notes;
mod objects;
mod unchanged;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::key_index::{Found, KeyIndex};
use super::plan::{Renames, Verdict};
use super::{SqliteStore, Standing, damaged, io, sql};
use crate::coverage::Closes;
use crate::endpoint::{Checkpoint, Cursor, DeltaPage, SnapshotPage};
use crate::error::Result;
use crate::model::{Facet, Patch, Quarantined, RunId, Scope, SourceId, SourceKey, Unreadable, Via};
use crate::store::fault;

pub(super) use edges::OpenGroup;
pub(super) use notes::Subject;
pub(super) use objects::Disposition;
use unchanged::Unchanged;

/// Pages without a checkpoint after which the batch is committed all the same.
const MAX_UNCOMMITTED_PAGES: u32 = 64;
/// Bytes of a page of the stage file.
const PAGE_BYTES: i64 = 16 << 10;
/// The layout of the stage file; another one is thrown away.
const LAYOUT: i64 = 6;

/// How far a stage has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StagePhase {
    /// Pages are being staged.
    Listing,
    /// The plan is fixed and being applied.
    Applying,
}

/// What a run has read.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Figures {
    pub(super) pages: u64,
    pub(super) objects: u64,
    pub(super) memberships: u64,
    pub(super) quarantined: u64,
}

/// The stage of one run.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // each stands for a fact of its own
pub(super) struct Stage {
    pub(super) file: Connection,
    /// Reads the state file; one transaction a page.
    pub(super) main: Connection,
    pub(super) store: Arc<SqliteStore>,
    pub(super) endpoint_no: i64,
    pub(super) seed: u64,
    pub(super) figures: Figures,
    pub(super) closes: Closes,
    path: PathBuf,
    dry_run: bool,
    in_batch: bool,
    uncommitted_pages: u32,
    batch: i64,
    seen: Vec<u64>,
    /// Known objects of which a listing named no more than the id: they are there, and nothing else was read.
    listed: Vec<u64>,
    /// Whether changes were staged, not a listing.
    delta: bool,
    /// Whether a delta said of anything that it is gone.
    stated: bool,
    /// Memberships that a delta ended and that are not in the file yet.
    ends: Vec<edges::End>,
    /// Groups in which a delta ended any.
    ended: HashSet<SourceKey>,
    /// Whether some of these had begun on an earlier page.
    retracted: bool,
    /// Whether any known object is staged: most listings of unchanged objects never have to look.
    any_staged: bool,
    /// Whether facets were read of objects that were not listed before.
    any_early: bool,
    /// Whether any object was listed again after it had been staged: what it named before is then no longer true.
    pub(super) restaged: bool,
    /// Memberships that a second reading found to be there.
    pub(super) still_members: std::collections::BTreeSet<(i64, u64)>,
    /// Objects that have another id by now.
    pub(super) renames: Renames,
    numbers: std::ops::Range<i64>,
    /// What is stored, as far as a snapshot finds it unchanged.
    unchanged: Option<Unchanged>,
    /// Objects that are new in this listing.
    new: KeyIndex,
    open: HashMap<(SourceKey, Via), OpenGroup>,
    open_bytes: usize,
    pending: notes::Pending,
    buffer: Vec<u8>,
}

impl Stage {
    /// Opens the stage file of an endpoint, or makes an empty one where there is none that can be used.
    pub(super) fn open(
        store: &Arc<SqliteStore>,
        path: PathBuf,
        endpoint_no: i64,
        seed: u64,
        dry_run: bool,
    ) -> Result<Self> {
        let usable = path.exists()
            && !dry_run
            && connect(&path).and_then(|file| meta_number(&file, "layout")).is_ok_and(|layout| layout == Some(LAYOUT));
        if !usable {
            remove(&path)?;
        }
        let file = connect(&path)?;
        if !usable {
            file.execute_batch(include_str!("schema.sql")).map_err(sql("prepare the stage"))?;
            put(&file, "layout", &LAYOUT)?;
        }
        let main = store.connect(5 << 20)?;
        let mut stage = Self {
            file,
            main,
            store: Arc::clone(store),
            endpoint_no,
            seed,
            figures: Figures::default(),
            closes: Closes::default(),
            path,
            dry_run,
            in_batch: false,
            uncommitted_pages: 0,
            batch: 0,
            seen: Vec::new(),
            listed: Vec::new(),
            delta: false,
            stated: false,
            ends: Vec::new(),
            ended: HashSet::new(),
            retracted: false,
            any_staged: false,
            any_early: false,
            restaged: false,
            still_members: std::collections::BTreeSet::new(),
            renames: Renames::default(),
            numbers: 0..0,
            unchanged: None,
            new: KeyIndex::with_room(0, None),
            open: HashMap::new(),
            open_bytes: 0,
            pending: notes::Pending::new(),
            buffer: Vec::new(),
        };
        if usable {
            stage.restore()?;
        }
        Ok(stage)
    }

    /// Throws away what was staged and begins with an empty file.
    pub(super) fn restart(self) -> Result<Self> {
        let Self { file, main, store, endpoint_no, seed, path, dry_run, .. } = self;
        drop((file, main));
        remove(&path)?;
        Self::open(&store, path, endpoint_no, seed, dry_run)
    }

    /// Removes the file: the run is over.
    pub(super) fn discard(self) -> Result<()> {
        let Self { file, main, path, .. } = self;
        drop((file, main));
        remove(&path)
    }

    /// Takes up what an interrupted run left.
    fn restore(&mut self) -> Result<()> {
        let step = || sql("read the stage");
        self.batch =
            self.file.query_row("SELECT coalesce(max(batch), 0) FROM seen", [], |row| row.get(0)).map_err(step())?;
        self.delta = self.get::<i64>("delta")?.unwrap_or(0) != 0;
        self.retracted =
            self.file.query_row("SELECT exists (SELECT 1 FROM retracted)", [], |row| row.get(0)).map_err(step())?;
        self.any_staged =
            self.file.query_row("SELECT exists (SELECT 1 FROM objects)", [], |row| row.get(0)).map_err(step())?;
        self.any_early =
            self.file.query_row("SELECT exists (SELECT 1 FROM early_facets)", [], |row| row.get(0)).map_err(step())?;
        self.restaged = self.get::<i64>("restaged")?.unwrap_or(0) != 0;
        self.restore_new_keys()?;
        self.restore_renames()?;
        if let Some(closes) = self.get::<String>("closes")? {
            for (scope, spoiled) in
                serde_json::from_str::<Vec<(Scope, bool)>>(&closes).map_err(|_| damaged("closes"))?
            {
                if spoiled {
                    self.closes.spoil(scope);
                } else {
                    self.closes.close(scope);
                }
            }
        }
        if let Some(figures) = self.get::<String>("figures")? {
            let [pages, objects, memberships, quarantined] =
                serde_json::from_str(&figures).map_err(|_| damaged("figures"))?;
            self.figures = Figures { pages, objects, memberships, quarantined };
        }
        if !self.is_listing() {
            self.be_durable()?;
        }
        self.restore_open_groups()
    }

    fn restore_new_keys(&mut self) -> Result<()> {
        let step = || sql("read the stage");
        let mut query = self
            .file
            .prepare("SELECT stage_no / 4, kind, source_id FROM objects WHERE disposition = 0 AND stage_no % 4 = 0")
            .map_err(step())?;
        let mut rows = query.query([]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let kind = super::kind_from_number(row.get(1).map_err(step())?)?;
            let id = row.get_ref(2).map_err(step())?.as_blob().ok().and_then(SourceId::from_stored);
            let key = id.ok_or_else(|| damaged("a source id"))?.key();
            self.new.insert(
                &key,
                Found { object_no: row.get(0).map_err(step())?, standing: Standing::live(kind), joined: false },
            );
        }
        Ok(())
    }

    /// Forgets the keys of new objects, once they are stored.
    pub(super) fn forget_new_keys(&mut self) {
        self.new = KeyIndex::with_room(0, None);
    }

    /// Returns what of an earlier run is in the file: its id, its coverage, and how far it came.
    pub(super) fn left_over(&self) -> Result<Option<(RunId, [u8; 16], StagePhase)>> {
        let (Some(run), Some(coverage)) = (self.get::<Vec<u8>>("run")?, self.get::<Vec<u8>>("coverage")?) else {
            return Ok(None);
        };
        let run = RunId(uuid::Uuid::from_slice(&run).map_err(|_| damaged("a run"))?);
        let coverage = coverage.try_into().map_err(|_| damaged("a coverage"))?;
        let phase = match self.get::<i64>("phase")? {
            Some(1) => StagePhase::Applying,
            _ => StagePhase::Listing,
        };
        Ok(Some((run, coverage, phase)))
    }

    /// Returns where the listing can go on, if the staged pages are exactly those before it.
    pub(super) fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        if self.get::<i64>("dirty")?.unwrap_or(0) != 0 {
            return Ok(None);
        }
        Ok(self.get::<Vec<u8>>("checkpoint")?.and_then(|stored| Checkpoint::from_stored(&stored)))
    }

    /// Notes whose stage this is and under which coverage it began.
    pub(super) fn begin(&self, run: RunId, coverage: &[u8; 16]) -> Result<()> {
        put(&self.file, "run", &run.0.as_bytes().as_slice())?;
        put(&self.file, "coverage", &coverage.as_slice())
    }

    /// Notes that the plan is fixed.
    pub(super) fn set_phase(&self, phase: StagePhase) -> Result<()> {
        fault::point();
        if phase == StagePhase::Applying {
            self.be_durable()?;
        }
        put(&self.file, "phase", &i64::from(phase == StagePhase::Applying))?;
        fault::point();
        Ok(())
    }

    /// From here on a commit is on the disk when it returns: the state file, written behind it, relies on it.
    fn be_durable(&self) -> Result<()> {
        self.file.pragma_update(None, "synchronous", "FULL").map_err(sql("note the plan"))
    }

    /// Forgets what an interrupted run found out behind its listing: who was gone then may be back by now.
    pub(super) fn forget_plan(&mut self) -> Result<()> {
        self.forget_renames()?;
        self.file
            .execute_batch(
                "BEGIN; DELETE FROM candidates; DELETE FROM edge_losses;
                 UPDATE objects SET held = NULL WHERE held IS NOT NULL; COMMIT",
            )
            .map_err(sql("take up the stage"))
    }

    /// Tells whether pages can still be staged.
    pub(super) fn is_listing(&self) -> bool {
        !matches!(self.get::<i64>("phase"), Ok(Some(1)))
    }

    /// Gives up what was staged since the last commit.
    pub(super) fn roll_back(&mut self) {
        if std::mem::take(&mut self.in_batch) {
            // An error here means that there is nothing to roll back.
            let _ = self.file.execute_batch("ROLLBACK");
        }
        let _ = self.main.execute_batch("ROLLBACK");
    }

    /// Reads one note.
    pub(super) fn get<T: rusqlite::types::FromSql>(&self, name: &str) -> Result<Option<T>> {
        self.file
            .prepare_cached("SELECT value FROM meta WHERE name = ?1")
            .and_then(|mut query| query.query_row([name], |row| row.get(0)).optional())
            .map_err(sql("read the stage"))
    }

    /// Writes one note.
    pub(super) fn put(&self, name: &str, value: &impl rusqlite::ToSql) -> Result<()> {
        put(&self.file, name, value)
    }

    /// Stages one page of a snapshot.
    pub(super) fn add_snapshot_page(&mut self, page: &SnapshotPage) -> Result<()> {
        self.begin_page()?;
        if self.unchanged.is_none() && !page.patches.is_empty() {
            self.unchanged = Some(Unchanged::read(&self.main, self.endpoint_no)?);
        }
        for patch in &page.patches {
            self.add_patch(patch)?;
        }
        for object in &page.withdrawn {
            self.withdraw(object)?;
        }
        let settled = self.add_listed_edges(&page.edges, &page.closed)?;
        self.add_notes(&page.quarantined, &page.unreadable)?;
        for scope in &page.closed {
            match scope {
                Scope::Members(group, via) => {
                    let key = (group.key(), *via);
                    if !settled.contains(&key) {
                        self.close_group(key.0, key.1)?;
                    }
                }
                scope => self.closes.close(scope.clone()),
            }
        }
        self.end_page(page.checkpoint.as_ref())
    }

    /// Stages objects that look-ups found behind the listing.
    pub(super) fn add_found(&mut self, patches: &[Patch]) -> Result<()> {
        self.begin_page()?;
        for patch in patches {
            self.add_patch(patch)?;
        }
        self.end_page(None)?;
        self.commit_batch()
    }

    /// Stages one page of a delta. What a later page says of an object or a membership counts, and on one page what
    /// comes later here.
    pub(super) fn add_delta_page(&mut self, page: &DeltaPage) -> Result<()> {
        self.begin_page()?;
        self.note_delta()?;
        for patch in &page.patches {
            // A report that goes on to name somebody is no sign that they are there.
            if patch.facet == Facet::Core {
                self.retract(&patch.object.id.key())?;
            }
            self.add_patch(patch)?;
        }
        for entry in page.quarantined.iter().filter_map(|entry| entry.id.as_ref()) {
            self.retract(&entry.key())?;
        }
        for edges in &page.edges_added {
            self.forget_ends(edges)?;
            self.add_edges(edges)?;
        }
        for edges in &page.edges_removed {
            self.retract_edges(edges)?;
            self.end_edges(edges);
        }
        for object in &page.out_of_scope {
            self.add_statement(object, Verdict::ToldOutOfScope)?;
        }
        for tombstone in &page.tombstones {
            self.add_tombstone(tombstone)?;
        }
        self.add_notes(&page.quarantined, &page.unreadable)?;
        for scope in &page.closed {
            if let Scope::Members(group, via) = scope {
                self.close_group(group.key(), *via)?;
            }
        }
        self.end_page(None)
    }

    fn add_notes(&mut self, quarantined: &[Quarantined], unreadable: &[Unreadable]) -> Result<()> {
        for entry in quarantined {
            self.quarantine(entry)?;
        }
        for entry in unreadable {
            self.closes.spoil(entry.scope.clone());
            let scope = serde_json::to_string(&entry.scope).map_err(|_| damaged("a scope"))?;
            self.file
                .prepare_cached("INSERT OR REPLACE INTO unreadable VALUES (?1, ?2)")
                .and_then(|mut insert| insert.execute(params![scope, entry.reason]))
                .map_err(sql("stage a page"))?;
        }
        Ok(())
    }

    /// Lists what could not be read.
    pub(super) fn unreadable(&self) -> Result<Vec<Unreadable>> {
        let step = || sql("read the stage");
        let mut query = self.file.prepare("SELECT scope, reason FROM unreadable").map_err(step())?;
        let rows =
            query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).map_err(step())?;
        rows.map(|row| {
            let (scope, reason) = row.map_err(step())?;
            Ok(Unreadable { scope: serde_json::from_str(&scope).map_err(|_| damaged("a scope"))?, reason })
        })
        .collect()
    }

    /// Reads the state file as it is now for many look-ups, unless a page does already: each by itself would lock it.
    pub(super) fn reading(&self) -> Result<Option<Transaction<'_>>> {
        let idle = self.main.is_autocommit();
        idle.then(|| self.main.unchecked_transaction()).transpose().map_err(sql("read the state file"))
    }

    fn begin_page(&mut self) -> Result<()> {
        self.figures.pages += 1;
        if !self.in_batch {
            self.file.execute_batch("BEGIN").map_err(sql("stage a page"))?;
            self.in_batch = true;
        }
        self.main.execute_batch("BEGIN").map_err(sql("compare a page"))
    }

    fn end_page(&mut self, checkpoint: Option<&Checkpoint>) -> Result<()> {
        self.main.execute_batch("COMMIT").map_err(sql("compare a page"))?;
        self.uncommitted_pages += 1;
        if let Some(checkpoint) = checkpoint {
            put(&self.file, "checkpoint", &checkpoint.to_stored())?;
            put(&self.file, "dirty", &0)?;
        } else if self.uncommitted_pages < MAX_UNCOMMITTED_PAGES {
            return Ok(());
        } else {
            put(&self.file, "dirty", &1)?;
        }
        self.commit_batch()
    }

    /// Writes everything that is still in memory and commits the batch.
    pub(super) fn commit_batch(&mut self) -> Result<()> {
        if !self.in_batch {
            self.file.execute_batch("BEGIN").map_err(sql("stage a page"))?;
        }
        self.flush_ends()?;
        self.spill_open_groups()?;
        self.flush_seen()?;
        let scopes: Vec<(&Scope, bool)> = self
            .closes
            .closed()
            .map(|scope| (scope, false))
            .chain(self.closes.spoiled().map(|scope| (scope, true)))
            .collect();
        put(&self.file, "closes", &serde_json::to_string(&scopes).map_err(|_| damaged("closes"))?)?;
        let Figures { pages, objects, memberships, quarantined } = self.figures;
        put(&self.file, "figures", &format!("[{pages},{objects},{memberships},{quarantined}]"))?;
        fault::point();
        self.file.execute_batch("COMMIT").map_err(sql("stage a page"))?;
        fault::point();
        self.in_batch = false;
        self.uncommitted_pages = 0;
        Ok(())
    }

    /// Ends the listing: what is staged is now whole.
    pub(super) fn end_listing(&mut self, cursor: Option<&Cursor>) -> Result<()> {
        if self.any_early && !self.in_batch {
            self.file.execute_batch("BEGIN").map_err(sql("stage facets"))?;
            self.in_batch = true;
        }
        self.settle_early_facets()?;
        self.commit_batch()?;
        self.unchanged = None;
        if let Some(cursor) = cursor {
            put(&self.file, "cursor", &cursor.to_stored())?;
        }
        Ok(())
    }

    /// Returns the cursor that the listing ended with.
    pub(super) fn cursor(&self) -> Result<Option<Vec<u8>>> {
        self.get("cursor")
    }

    fn flush_seen(&mut self) -> Result<()> {
        self.flush_listed()?;
        if self.seen.is_empty() {
            return Ok(());
        }
        self.seen.sort_unstable();
        self.seen.dedup();
        self.batch += 1;
        self.file
            .prepare_cached("INSERT INTO seen VALUES (?1, ?2)")
            .and_then(|mut insert| insert.execute(params![self.batch, crate::store::codec::pack_sorted(&self.seen)]))
            .map_err(sql("stage a page"))?;
        self.seen.clear();
        Ok(())
    }

    /// Gives a number to a new object. Numbers are given once: those of an abandoned run are never used again.
    pub(super) fn new_number(&mut self) -> Result<i64> {
        if self.numbers.is_empty() {
            const BLOCK: i64 = 4096;
            let first = if self.dry_run {
                // A dry run writes nothing: its numbers live in its own file only.
                let next = self.get::<i64>("next_number")?.unwrap_or(1 << 40);
                put(&self.file, "next_number", &(next + BLOCK))?;
                next
            } else {
                self.store
                    .host()
                    .query_row(
                        "UPDATE numbers SET next = next + ?1 WHERE name = 'object' RETURNING next - ?1",
                        [BLOCK],
                        |row| row.get(0),
                    )
                    .map_err(sql("reserve object numbers"))?
            };
            self.numbers = first..first + BLOCK;
        }
        self.numbers.next().ok_or_else(|| damaged("object numbers"))
    }
}

fn connect(path: &Path) -> Result<Connection> {
    let step = || sql("open the stage file");
    let file = Connection::open(path).map_err(step())?;
    // Before anything is written: rows are long, and are read and written in their order.
    file.pragma_update(None, "page_size", PAGE_BYTES).map_err(step())?;
    file.pragma_update(None, "journal_mode", "WAL").map_err(step())?;
    // Survives the process, and never lies after a power cut; the last batch may then be read again.
    file.pragma_update(None, "synchronous", "NORMAL").map_err(step())?;
    file.pragma_update(None, "cache_size", -4096).map_err(step())?;
    file.pragma_update(None, "journal_size_limit", 16 << 20).map_err(step())?;
    file.set_prepared_statement_cache_capacity(64);
    Ok(file)
}

fn meta_number(file: &Connection, name: &str) -> Result<Option<i64>> {
    file.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0))
        .optional()
        .map_err(sql("read the stage"))
}

fn put(file: &Connection, name: &str, value: &impl rusqlite::ToSql) -> Result<()> {
    file.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")
        .and_then(|mut insert| insert.execute(params![name, value]))
        .map(drop)
        .map_err(sql("stage a page"))
}

/// Removes a stage file with everything that belongs to it.
pub(super) fn remove(path: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io("remove the stage file", path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}
