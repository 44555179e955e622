//! Serves a seeded organisation as a fake Exchange until standard input ends or a signal comes; it knows nothing of tenantry.
//!
//! `cargo run -p tenantry-fakes --example serve_ews -- --users 1000 --groups 100 --members 20`

use std::io::Write as _;
use std::time::Duration;

use tenantry_fakes::ews::{Call, CertificateSignature, ExtendedProtection, FakeEws, Organisation, Size, Version};
use tokio::io::AsyncReadExt as _;

const USAGE: &str = "usage: serve_ews [--users N] [--contacts N] [--groups N] [--members N] [--hidden-percent N] \
[--seed N] [--port N] [--tls-port N] [--latency-ms N] [--version 2007|2007sp1|2010|2010sp1|2010sp2|2013|2013sp1|2016|2019|se] \
[--ca FILE] [--auth ntlm,negotiate,basic] [--protection off|allowed|required] [--sha384 on|off]";

struct Options {
    size: Size,
    seed: u64,
    port: u16,
    tls_port: u16,
    latency: Duration,
    version: Version,
    ca: Option<String>,
    schemes: String,
    protection: ExtendedProtection,
    certificate: CertificateSignature,
}

fn version(name: &str) -> Option<Version> {
    let names = ["2003", "2007", "2007sp1", "2010", "2010sp1", "2010sp2", "2013", "2013sp1", "2016", "2019", "se"];
    names.iter().zip(Version::ALL).find(|(known, _)| **known == name).map(|(_, version)| version)
}

fn options() -> Result<Options, Box<dyn std::error::Error>> {
    let mut options = Options {
        size: Size::default(),
        seed: 1,
        port: 0,
        tls_port: 0,
        latency: Duration::ZERO,
        version: Version::SubscriptionEdition,
        ca: None,
        schemes: "ntlm,negotiate,basic".to_owned(),
        protection: ExtendedProtection::Allowed,
        certificate: CertificateSignature::Sha256,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(USAGE)?;
        match name.as_str() {
            "--users" => options.size.users = value.parse()?,
            "--contacts" => options.size.contacts = value.parse()?,
            "--groups" => options.size.groups = value.parse()?,
            "--members" => options.size.members = value.parse()?,
            "--hidden-percent" => options.size.hidden_percent = value.parse()?,
            "--seed" => options.seed = value.parse()?,
            "--port" => options.port = value.parse()?,
            "--tls-port" => options.tls_port = value.parse()?,
            "--latency-ms" => options.latency = Duration::from_millis(value.parse()?),
            "--version" => options.version = version(&value).ok_or(USAGE)?,
            "--auth" => options.schemes = value,
            "--protection" => {
                options.protection = match value.as_str() {
                    "off" => ExtendedProtection::Off,
                    "allowed" => ExtendedProtection::Allowed,
                    "required" => ExtendedProtection::Required,
                    _ => return Err(USAGE.into()),
                };
            }
            "--sha384" if value == "on" => options.certificate = CertificateSignature::Sha384,
            "--sha384" => {}
            "--ca" => options.ca = Some(value),
            _ => return Err(USAGE.into()),
        }
    }
    Ok(options)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = options()?;
    let organisation = Organisation::seeded(options.seed, options.size);
    organisation.edit_settings(|settings| {
        settings.latency = options.latency;
        settings.version = options.version;
        let offered = |scheme| options.schemes.split(',').any(|one| one == scheme);
        settings.ntlm = offered("ntlm");
        settings.negotiate = offered("negotiate");
        settings.basic = offered("basic");
        settings.extended_protection = options.protection;
        settings.certificate = options.certificate;
    });
    let server = FakeEws::start_at(organisation.clone(), options.port, options.tls_port).await?;
    if let Some(path) = options.ca {
        std::fs::write(path, server.ca_pem())?;
    }
    let credentials = organisation.credentials();
    let mut out = std::io::stdout();
    writeln!(out, "plain: {}", server.url())?;
    writeln!(out, "tls: {}", server.https_url())?;
    writeln!(out, "user: {}", credentials.name())?;
    writeln!(out, "password: {}", credentials.password)?;
    writeln!(out, "recipients: {}, visible: {}", organisation.count(), organisation.visible().len())?;
    out.flush()?;

    let mut input = tokio::io::stdin();
    let mut buffer = [0; 256];
    tokio::select! {
        () = async { while input.read(&mut buffer).await.is_ok_and(|read| read > 0) {} } => {}
        signal = tokio::signal::ctrl_c() => signal?,
    }
    let log = server.log();
    writeln!(out, "resolved: {}, expanded: {}", log.count(Call::ResolveNames), log.count(Call::ExpandDl))?;
    server.shutdown().await;
    Ok(())
}
