//! Ctrl-C and the termination signal: the first one stops imports at a good place, the second one at once.

use tokio_util::sync::CancellationToken;

/// The status of a program that a signal ended.
const INTERRUPTED: i32 = 130;

/// Returns a token that the first signal cancels.
pub(crate) fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        // Where signals cannot be listened to, they end the program as they always do.
        let Ok(mut signals) = Signals::listen() else { return };
        signals.next().await;
        token.cancel();
        eprintln!("stopping; what was read up to the last checkpoint is kept");
        signals.next().await;
        std::process::exit(INTERRUPTED);
    });
    stop
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
