//! What an operation takes before it changes anything: the customer's turn, and the silence of an endpoint.
//!
//! It does not know what is changed then.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::apply::{FINISHING, Target};
use super::outbox::customer_no;
use super::{SqliteStore, io, locks, sql};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::model::{CustomerId, EndpointName, RunId};
use crate::store::fault;

/// How many times the end of old readers is looked for: about two seconds.
const LOOKS_FOR_READERS: i32 = 1000;

/// An endpoint without a run: none is under way, none can begin, and what an earlier one left half done is mended.
#[derive(Debug)]
pub(super) struct Quiet {
    pub(super) target: Target,
    _run: locks::Held,
}

impl SqliteStore {
    /// Takes the right to change one customer: one apply at a time, whoever asks.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] while somebody else has it.
    pub(super) fn take_turn(&self, customer: &CustomerId) -> Result<locks::Held> {
        locks::try_apply(&self.work, customer)?.ok_or_else(|| {
            Error::new(ErrorKind::Conflict, "changes are being applied to this customer; try again when they are done")
                .with_context("customer", customer)
                .with_retry(Retry::Backoff)
        })
    }

    /// Returns the number of a customer.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for one that was never registered.
    pub(super) fn known_customer(&self, customer: &CustomerId) -> Result<i64> {
        customer_no(&self.host(), customer)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "the customer is not known").with_context("customer", customer)
        })
    }

    /// Silences an endpoint: what it has staged is thrown away, an older run can no longer write.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown endpoint, [`ErrorKind::Conflict`] while a run of it is under way.
    pub(super) fn silence(&self, customer: &CustomerId, endpoint: &EndpointName, run: RunId) -> Result<Quiet> {
        let step = || sql("take an endpoint out of use");
        let known: Option<(i64, i64, i64)> = self
            .host()
            .query_row(
                "SELECT customer_no, endpoint_no, digest_seed FROM endpoints JOIN customers USING (customer_no)
                 WHERE id = ?1 AND endpoints.name = ?2",
                params![customer.as_str(), endpoint.as_str()],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()
            .map_err(step())?;
        let (customer_no, endpoint_no, seed) = known.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "the endpoint is not known")
                .with_context("customer", customer)
                .with_context("endpoint", endpoint)
        })?;
        let held = locks::run(&self.work, customer, endpoint)?;
        let (epoch, broken) = {
            let mut host = self.host();
            let transaction = host.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
            let epoch = transaction
                .query_row(
                    "UPDATE endpoints SET epoch = epoch + 1 WHERE endpoint_no = ?1 RETURNING epoch",
                    [endpoint_no],
                    |row| row.get(0),
                )
                .map_err(step())?;
            let broken: bool = transaction
                .query_row(
                    "SELECT exists (SELECT 1 FROM runs WHERE endpoint_no = ?1 AND (phase > 0 OR position > 0) AND phase < ?2)",
                    params![endpoint_no, FINISHING],
                    |row| row.get(0),
                )
                .map_err(step())?;
            fault::point();
            transaction.commit().map_err(step())?;
            fault::point();
            (epoch, broken)
        };
        let seed = u64::from_ne_bytes(seed.to_ne_bytes());
        let target = Target {
            customer_no,
            customer: customer.clone(),
            endpoint_no,
            endpoint: endpoint.clone(),
            seed,
            run,
            epoch,
        };
        // Its plan goes with the stage: what it had not yet written is mended like that of a stage that was lost.
        self.remove_files(customer, endpoint, |rest| rest.starts_with("stage") || rest.starts_with("dry-"))?;
        if broken {
            super::apply::repair(self, &target)?;
        }
        Ok(Quiet { target, _run: held })
    }

    /// Removes files of one endpoint's runs, by what stands behind its name.
    pub(super) fn remove_files(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointName,
        goes: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let prefix = format!("{customer}+{endpoint}.");
        for entry in std::fs::read_dir(&self.work).map_err(io("look for files of runs", &self.work))? {
            let entry = entry.map_err(io("look for files of runs", &self.work))?;
            let name = entry.file_name();
            // A name may go on with a dot: of another endpoint's files only what looks exactly like ours is ours.
            let rest = name.to_str().and_then(|name| name.strip_prefix(&prefix));
            if rest.is_some_and(|rest| is_ours(rest) && goes(rest)) {
                match std::fs::remove_file(entry.path()) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(io("remove files of runs", &entry.path())(error));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// Writes the file anew and empties its log: nothing that was deleted is left in either.
///
/// # Errors
/// [`ErrorKind::Store`] while a reader holds an old state; it is to be done again then.
pub(super) fn rewrite_file(writer: &Connection) -> Result<()> {
    let step = || sql("write the state file anew");
    fault::point();
    writer.execute_batch("VACUUM").map_err(step())?;
    fault::point();
    // An export may read for long: then the host is told, and not left waiting.
    writer.busy_handler(Some(look_briefly)).map_err(step())?;
    let busy: i64 = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(step())?;
    writer.busy_handler(Some(super::look_again)).map_err(step())?;
    if busy != 0 {
        return Err(Error::new(ErrorKind::Store, "somebody still reads an old state of the file; try again later")
            .with_operation("write the state file anew")
            .with_retry(Retry::Backoff));
    }
    fault::point();
    Ok(())
}

fn look_briefly(looks: i32) -> bool {
    super::pause(super::BUSY_PAUSE);
    looks < LOOKS_FOR_READERS
}

/// Tells whether what follows `<customer>+<endpoint>.` is the name of a file of that endpoint, not of a longer name.
fn is_ours(rest: &str) -> bool {
    let stage = |rest: &str| matches!(rest, "stage" | "stage-wal" | "stage-shm");
    if stage(rest) {
        return true;
    }
    if let Some((id, file)) = rest.strip_prefix("dry-").and_then(|rest| rest.split_once('.')) {
        return uuid::Uuid::try_parse(id).is_ok() && stage(file);
    }
    rest.split_once('.').is_some_and(|(id, file)| file == "planned" && crate::model::PlanId::parse(id).is_ok())
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn files_of_an_endpoint_whose_name_goes_on_with_a_dot_are_not_ours() {
        let dry = "dry-6a0b1f0e-9f54-4d0c-8f0e-1f2a3b4c5d6e.stage-wal";
        for ours in ["stage", "stage-wal", "0123456789abcdef.planned", dry] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in ["x.stage", "0123456789abcdef.stage", "run", "x.0123456789abcdef.planned", "dry-x.stage"] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
