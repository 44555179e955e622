//! Events as JSON lines on stdout: what was printed is acknowledged, never before. It knows no endpoint.

use std::io::{self, Write as _};
use std::time::Duration;

use serde::Serialize;
use tenantry::gate::Clock;
use tenantry::model::CustomerId;
use tenantry::{Consumer, Error, ErrorKind, Result, Service};
use tokio_util::sync::CancellationToken;

/// The name under which the position is kept.
const CONSUMER: &str = "import_tenant";
/// Events in memory at the same time.
const BATCH: usize = 1000;
/// How often it is looked for new events while imports run.
const PAUSE: Duration = Duration::from_millis(200);

/// Prints a customer's events from where the last one stopped, in this process or an earlier one.
#[derive(Debug)]
pub(crate) struct Printer {
    consumer: Consumer,
}

impl Printer {
    pub(crate) fn new(service: &Service, customer: &CustomerId) -> Self {
        Self { consumer: service.consumer(customer, CONSUMER) }
    }

    /// Prints what there is until `ended`, and then once more to the end.
    pub(crate) async fn print_until(&self, ended: CancellationToken) -> Result<()> {
        let clock = Clock::system();
        loop {
            // Asked first: what is committed before the end is then in what is read after it.
            let last = ended.is_cancelled();
            self.print_all().await?;
            if last {
                return Ok(());
            }
            tokio::select! {
                () = ended.cancelled() => {}
                () = clock.sleep(PAUSE) => {}
            }
        }
    }

    /// Prints everything that is there now.
    pub(crate) async fn print_all(&self) -> Result<()> {
        loop {
            let events = self.consumer.next(BATCH).await?;
            let Some(last) = events.last().cloned() else { return Ok(()) };
            let mut lines = Vec::new();
            for event in &events {
                push_line(&mut lines, event)?;
            }
            drop(events);
            write(lines).await?;
            self.consumer.acknowledge(&last).await?;
        }
    }
}

/// Prints one line that is no event.
pub(crate) async fn print(line: &(impl Serialize + Sync)) -> Result<()> {
    let mut lines = Vec::new();
    push_line(&mut lines, line)?;
    write(lines).await
}

fn push_line(lines: &mut Vec<u8>, line: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *lines, line)
        .map_err(|error| Error::new(ErrorKind::Sink, "a line cannot be written as JSON").with_source(error))?;
    lines.push(b'\n');
    Ok(())
}

/// Writes off the async threads: a reader that stands still must not stop the imports.
async fn write(lines: Vec<u8>) -> Result<()> {
    let written = tokio::task::spawn_blocking(move || {
        let mut out = io::stdout().lock();
        out.write_all(&lines)?;
        out.flush()
    });
    let written = written.await.map_err(|_| Error::new(ErrorKind::Sink, "printing panicked"))?;
    written.map_err(|error| {
        let message = match error.kind() {
            io::ErrorKind::BrokenPipe => {
                "nobody reads stdout any more; events that were not printed come in the next run"
            }
            _ => "stdout cannot be written; events that were not printed come in the next run",
        };
        Error::new(ErrorKind::Sink, message).with_context("reason", error.kind()).with_source(error)
    })
}
