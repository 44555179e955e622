//! An Exchange organisation: the program imports its recipients from a fake domain controller.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use tenantry_fakes::ldap::{Directory, FakeLdap, MailType};

use crate::program::{self, Said, count, events_and_summary};
use crate::world::CANARY;

struct Organisation {
    folder: TempDir,
    directory: Directory,
    _server: FakeLdap,
}

impl Organisation {
    async fn new() -> Self {
        let directory = Directory::new("DC=corp,DC=example");
        directory.add_ou("OU=People");
        directory.add_user("CN=Users", "sync").password(CANARY).create();
        directory.rights("sync").read_deleted(true);
        directory.add_exchange();
        for number in 0..20 {
            let name = format!("user{number:02}");
            let user = directory.add_user("OU=People", &name).given("Kim").surname("Berg").create();
            directory.enable_mail(user, &name, MailType::Mailbox);
        }
        for (name, what) in [("info", MailType::Shared), ("room1", MailType::Room), ("away", MailType::Remote)] {
            let user = directory.add_user("OU=People", name).create();
            directory.enable_mail(user, name, what);
        }
        let partner = directory.add_contact("OU=People", "Partner").create();
        directory.enable_mail(partner, "partner", MailType::Contact);
        let team = directory.add_group("OU=People", "Team").distribution().member("user00").member(partner).create();
        directory.enable_mail(team, "team", MailType::Group);
        directory.add_dynamic_group("OU=People", "Everybody", "(mailNickname=*)");
        // Nobody of these is a recipient.
        directory.add_user("OU=People", "service").mail("service@corp.example").create();
        directory.add_group("OU=People", "Rights").member("user01").create();
        let server = FakeLdap::start(directory.clone()).await;
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("secret", CANARY);
        write("ca.pem", server.ca_pem());
        write(
            "tenant.toml",
            &format!(
                "[customer]\nname = \"Corp\"\n[[endpoint]]\nname = \"mail\"\nkind = \"exchange\"\nroute = \"ldap\"\n\
                 url = \"{}\"\nbind = 'CORP\\sync'\npassword = {{ file = \"secret\" }}\nca_file = \"ca.pem\"\n",
                server.ldaps_url()
            ),
        );
        Self { folder, directory, _server: server }
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let mut command = program::command(arguments);
        program::run(command.arg("--config").arg(self.folder.path().join("tenant.toml")))
    }

    /// Runs with `--json`, to its good end.
    fn told(&self, arguments: &[&str]) -> (Vec<Value>, Value) {
        let said = self.run(&[&["--json"], arguments].concat());
        assert_eq!(said.status, Some(0), "{said:?}");
        events_and_summary(&said)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_come_in_whole_and_then_by_what_changed() {
    let organisation = Organisation::new().await;
    let (events, summary) = organisation.told(&[]);
    assert_eq!((&summary["users"], &summary["groups"], &summary["computers"]), (&json!(24), &json!(2), &json!(0)));
    assert_eq!(summary["memberships"], 2);
    let kinds = |kind: &str| {
        let upserted = events.iter().filter(|event| event["type"] == "tenantry.user.upserted");
        upserted.filter(|event| event["data"]["record"]["kind"] == kind).count()
    };
    assert_eq!(["person", "shared", "room", "contact"].map(kinds), [21, 1, 1, 1]);
    let suspended = events.iter().filter(|event| event["data"]["record"]["state"] == "suspended").count();
    assert_eq!(suspended, 0, "accounts that are disabled by design are nobody's");

    let (again, summary) = organisation.told(&[]);
    assert_eq!((again.len(), &summary["endpoints"][0]["mode"]), (1, &json!("delta")), "{again:?}");

    let directory = &organisation.directory;
    directory.enable_mail("service", "service", MailType::Mailbox);
    directory.disable_mail("user07");
    directory.delete("user08");
    directory.set("user09", "sn", ["Winter"]);
    let (changes, summary) = organisation.told(&[]);
    let endpoint = &summary["endpoints"][0];
    let figures = ["mode", "created", "updated", "removed"].map(|name| endpoint[name].clone());
    assert_eq!(figures, [json!("delta"), json!(1), json!(1), json!(2)], "{changes:?}");
    assert_eq!(count(&changes, "tenantry.user.removed"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_names_the_organisation_and_what_will_not_be_seen() {
    let organisation = Organisation::new().await;
    let said = organisation.run(&["--verify"]);
    assert_eq!(said.status, Some(0), "{said:?}");
    for part in ["Exchange organisation Corp", "dynamic distribution groups", "route ews"] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
}
