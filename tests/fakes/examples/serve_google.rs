//! Serves a generated account as a fake of the Admin SDK APIs until interrupted; it knows nothing of tenantry.
//!
//! `cargo run -p tenantry-fakes --example serve_google -- [USERS GROUPS MEMBERSHIPS] [--key FILE] [--port N]
//! [--anonymous] [--latency-ms N] [--per-minute N] [--concurrent N] [--seed N]`

use std::io::Write as _;
use std::time::Duration;

use tenantry_fakes::google::{Account, Clock, FakeGoogle, Settings, Size};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut sizes = Vec::new();
    let mut settings = Settings::default();
    let (mut key, mut port, mut seed) = (None, 0, 1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--anonymous" => settings.anonymous = true,
            "--key" => key = Some(value()?),
            "--port" => port = value()?.parse()?,
            "--seed" => seed = value()?.parse()?,
            "--latency-ms" => settings.latency = Duration::from_millis(value()?.parse()?),
            "--per-minute" => settings.quota.per_user = value()?.parse()?,
            "--concurrent" => settings.quota.concurrent = value()?.parse()?,
            size => sizes.push(size.parse::<usize>()?),
        }
    }
    let size = |at: usize, default: usize| sizes.get(at).copied().unwrap_or(default);
    let users = size(0, 1200);
    let groups = size(1, 250);
    let size = Size {
        users,
        groups,
        memberships: size(2, 5 * users),
        orgunits: 40.min(users),
        chromeos: users / 10,
        mobile: users / 5,
    };
    let account = Account::generated("corp.example", seed, size).with_clock(Clock::system());
    let server = FakeGoogle::start_at(account.clone(), settings, port).await?;
    if let Some(path) = key {
        std::fs::write(path, server.key_file())?;
    }
    let mut out = std::io::stdout();
    writeln!(out, "{}", server.url())?;
    writeln!(out, "{size:?}; impersonate {}", account.admin())?;
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}
