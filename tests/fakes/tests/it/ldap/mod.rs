//! The fake domain controller as the `ldap3` crate sees it.

mod binding;
mod dirsync;
mod faults;
mod searching;
mod writing;

use std::collections::HashMap;
use std::sync::Arc;

use ldap3::controls::{Control, ControlType, PagedResults, RawControl};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapResult, Scope, SearchEntry};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tenantry_fakes::ldap::{Directory, FakeLdap, Settings};

pub(crate) const ROOT: &str = "DC=corp,DC=example";
pub(crate) const ADMIN: (&str, &str) = ("CORP\\Administrator", "admin-1");
pub(crate) const PLAIN: (&str, &str) = ("svc@corp.example", "svc-1");

/// A tenant with a few people; `svc` is an account without special rights.
pub(crate) fn tenant() -> Directory {
    let directory = Directory::new(ROOT);
    directory.set_password("Administrator", ADMIN.1);
    directory.add_ou("OU=People");
    directory.add_ou("OU=Groups");
    directory.add_user("OU=People", "svc").password(PLAIN.1).create();
    directory.add_user("OU=People", "aberg").named("Berg, Anna").given("Anna").mail("a.berg@corp.example").create();
    directory.add_user("OU=People", "cdahl").disabled().description("one").description("two").create();
    directory.add_group("OU=Groups", "Staff").member("aberg").member("cdahl").create();
    directory
}

/// A tenant with so many users more, `u0` first.
pub(crate) fn crowd(count: usize) -> Directory {
    let directory = tenant();
    for number in 0..count {
        directory.add_user("OU=People", &format!("u{number}")).create();
    }
    directory
}

pub(crate) async fn start(directory: &Directory, settings: Settings) -> FakeLdap {
    FakeLdap::start_with(directory.clone(), settings).await
}

pub(crate) fn trusting(server: &FakeLdap) -> LdapConnSettings {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.ca_pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    LdapConnSettings::new().set_config(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

pub(crate) async fn open(url: &str, settings: LdapConnSettings) -> ldap3::result::Result<Ldap> {
    let (connection, ldap) = LdapConnAsync::with_settings(settings, url).await?;
    tokio::spawn(connection.drive());
    Ok(ldap)
}

pub(crate) async fn bound(server: &FakeLdap, who: (&str, &str)) -> Ldap {
    let mut ldap = open(&server.url(), LdapConnSettings::new()).await.unwrap();
    ldap.simple_bind(who.0, who.1).await.unwrap().success().unwrap();
    ldap
}

#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) entries: Vec<SearchEntry>,
    pub(crate) references: usize,
    pub(crate) code: u32,
    pub(crate) text: String,
    pub(crate) controls: Vec<Control>,
}

impl Found {
    pub(crate) fn names(&self) -> Vec<String> {
        self.entries.iter().map(|entry| entry.dn.clone()).collect()
    }

    pub(crate) fn cookie(&self) -> Vec<u8> {
        let paged = self.controls.iter().find(|control| matches!(control.0, Some(ControlType::PagedResults)));
        paged.map(|control| control.1.parse::<PagedResults>().cookie).unwrap_or_default()
    }
}

/// Returns the values of an attribute wherever the client put them.
pub(crate) fn values(entry: &SearchEntry, name: &str) -> Vec<Vec<u8>> {
    let text = entry.attrs.get(name).into_iter().flatten().map(|value| value.clone().into_bytes());
    text.chain(entry.bin_attrs.get(name).into_iter().flatten().cloned()).collect()
}

pub(crate) fn texts(entry: &SearchEntry, name: &str) -> Vec<String> {
    values(entry, name).into_iter().map(|value| String::from_utf8_lossy(&value).into_owned()).collect()
}

pub(crate) async fn search(ldap: &mut Ldap, base: &str, scope: Scope, filter: &str, attributes: &[&str]) -> Found {
    find(ldap, base, scope, filter, attributes, Vec::new()).await
}

pub(crate) async fn find(
    ldap: &mut Ldap,
    base: &str,
    scope: Scope,
    filter: &str,
    attributes: &[&str],
    controls: Vec<RawControl>,
) -> Found {
    let answer = ldap.with_controls(controls).search(base, scope, filter, attributes.to_vec()).await.unwrap();
    let LdapResult { rc, text, ctrls, refs, .. } = answer.1;
    let mut found = Found { code: rc, text, controls: ctrls, references: refs.len(), ..Found::default() };
    found.entries = answer.0.into_iter().map(SearchEntry::construct).collect();
    found
}

pub(crate) async fn everybody(ldap: &mut Ldap, filter: &str) -> Vec<String> {
    search(ldap, ROOT, Scope::Subtree, filter, &["sAMAccountName"]).await.names()
}

pub(crate) fn paged(size: i32, cookie: Vec<u8>) -> RawControl {
    PagedResults { size, cookie }.into()
}

pub(crate) fn control(oid: &str, value: Option<Vec<u8>>) -> RawControl {
    RawControl { ctype: oid.to_owned(), crit: true, val: value }
}

pub(crate) fn show_deleted() -> RawControl {
    control("1.2.840.113556.1.4.417", None)
}

/// Reads all pages; the outcome is that of the last one.
pub(crate) async fn all_pages(ldap: &mut Ldap, filter: &str, size: i32) -> (Found, Vec<usize>) {
    let (mut all, mut cookie, mut sizes) = (Found::default(), Vec::new(), Vec::new());
    loop {
        let page = find(ldap, ROOT, Scope::Subtree, filter, &["cn"], vec![paged(size, cookie)]).await;
        cookie = page.cookie();
        sizes.push(page.entries.len());
        all.entries.extend(page.entries);
        (all.code, all.text) = (page.code, page.text);
        all.references += page.references;
        if cookie.is_empty() || all.code != 0 || sizes.len() > 50 {
            return (all, sizes);
        }
    }
}

pub(crate) fn by_name(entries: Vec<SearchEntry>) -> HashMap<String, SearchEntry> {
    entries.into_iter().map(|entry| (entry.dn.clone(), entry)).collect()
}
