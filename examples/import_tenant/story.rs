//! Four imports of the demo tenant that show what an import, a change, a removal, a lock and a refusal are.

use serde_json::Value;
use tenantry::model::{EventType, ObjectKind, Record, names};
use tenantry::{ImportOptions, Result, Service};
use tenantry_fakes::ldap::{Fault, When};
use tokio_util::sync::CancellationToken;

use crate::console::Console;
use crate::demo::Demo;
use crate::import::import_one;
use crate::json::{self, Printer};
use crate::status::{Refusal, Status};
use crate::summary::{self, Ended, Summary};
use crate::tenant::{Tenant, temporary};
use crate::text::{self, Lines};

/// The account whose record is shown in full.
const SHOWN: &str = "alind";

/// Everything that the acts share.
struct Stage<'a> {
    demo: &'a Demo,
    console: &'a Console,
    tenant: Tenant,
    service: Service,
    printer: Option<Printer>,
    /// How it ended at each endpoint, all acts together.
    ended: Vec<Ended>,
}

/// Plays all acts and tells the exit status.
pub(crate) async fn tell(demo: &Demo, console: &Console) -> Result<Status, Refusal> {
    let (_folder, state) = temporary()?;
    let tenant = Tenant::new(demo.config(), &[])?;
    let service = tenant.open(&state).await?;
    let printer = console.is_json().then(|| Printer::new(&service, &tenant.customer.id));
    let mut stage = Stage { demo, console, tenant, service, printer, ended: Vec::new() };
    console.say(
        "A minute with a demo tenant. A fake Active Directory in this process serves a small port company over LDAPS, and\n\
         a fake Microsoft Graph its office abroad over HTTP; configuration, connectors and engine are the real ones.\n\
         Nothing is kept and no network is used.",
    );
    stage.first_import().await?;
    stage.nothing_new().await?;
    stage.a_day_later().await?;
    stage.a_lie().await?;
    stage.curtain().await
}

impl Stage<'_> {
    async fn first_import(&mut self) -> Result<()> {
        self.title("1. The first import");
        self.import(false).await?;
        self.say(
            "An import lists what the endpoint's account can see, compares it with what is stored, and tells each\n\
             difference as one event. Everything was new:",
        );
        text::totals(self.console, &self.service, &self.tenant.customer.id).await?;
        let twice = self.records(ObjectKind::User)?.iter().filter(|user| user.identities.len() > 1).count();
        self.say(&format!(
            "{twice} people are shown by both, and each of them is one user: joined by the id that Office 365 keeps of an\n\
             account, by an address in the company's domain, or by address and names."
        ));
        self.say("One of them, as a reader of the events gets it:");
        if let Some(mut record) = self.shown()? {
            without_nulls(&mut record["attributes"]);
            self.say(&indent(&serde_json::to_string_pretty(&record).unwrap_or_default()));
        }
        self.say(
            "`lock` is the point: the endpoint \"ad\" owns this record. What it says is changed over there, by its\n\
             administrators, and arrives here with the next import; nothing else may change it here. What it does not\n\
             know, \"cloud\" says.",
        );
        self.say("Accounts that cannot be used now came in as what they are:");
        for user in self.records(ObjectKind::User)? {
            if let Some(note) = condition(&user) {
                self.say(&format!("  {}: {note}", text::name_of(&serde_json::to_value(&user).unwrap_or_default())));
            }
        }
        self.say("Accounts of the system, a mailbox of the mail server itself and the excluded units stayed out.");
        Ok(())
    }

    async fn nothing_new(&mut self) -> Result<()> {
        self.title("2. Again, with nothing changed");
        let told = self.import(false).await?;
        let changes = told.iter().filter(|event| **event != EventType::ImportFinished).count();
        self.say(&format!("An import of nothing new is silent: {changes} changes were told."));
        Ok(())
    }

    async fn a_day_later(&mut self) -> Result<()> {
        self.title("3. A day of changes");
        self.demo.pass_a_day()?;
        let behind = self.service.last_position(&self.tenant.customer.id).await?;
        self.import(false).await?;
        self.say("Hires, leavers, a new name, a move, a suspension, memberships; each is one event:");
        let events = self.service.store().events(&self.tenant.customer.id, behind, usize::MAX >> 1)?;
        let mut lines = Lines::new(&self.service, &self.tenant.customer.id, &events);
        for line in events.iter().filter_map(|event| lines.describe(event)) {
            self.say(&format!("  {line}"));
        }
        self.say(
            "The user with a new name is the same record as before: it is known by the directory's own id. A unit was\n\
             renamed too, and that is no change of anybody in it. A removal needs proof: a tombstone, or a look-up\n\
             beside neighbours that can be read. Too many at once would be parked until somebody approves them.",
        );
        Ok(())
    }

    async fn a_lie(&mut self) -> Result<()> {
        self.title("4. A listing that lies");
        self.say("Now the domain controller leaves out half of the people, and reports success as always.");
        let short = Fault::DropTail { percent: 50 };
        self.demo.server().faults().on(When::FilterContains("objectCategory=person".to_owned()), short);
        let behind = self.service.last_position(&self.tenant.customer.id).await?;
        self.import(true).await?;
        self.demo.server().faults().clear();
        for event in self.service.store().events(&self.tenant.customer.id, behind, usize::MAX >> 1)? {
            if event.event_type == EventType::AlertRaised {
                self.say(&format!("  alert: {}", event.data_value()["message"].as_str().unwrap_or_default()));
            }
        }
        self.say("The listing came back short: nothing is removed. Still there:");
        text::totals(self.console, &self.service, &self.tenant.customer.id).await
    }

    async fn curtain(self) -> Result<Status, Refusal> {
        self.say(
            "\nYour own directory: import_tenant --config tenant.toml --verify, then --plan, then without either.",
        );
        let ended = self.ended;
        if self.printer.is_some() {
            let customer = &self.tenant.customer.id;
            let totals = self.service.totals(customer).await?;
            json::print(&Summary::new(customer, &ended, totals)).await?;
        }
        Ok(summary::status(&ended))
    }

    /// Imports once; prints the events where they are asked for, else the figures. Returns what was told.
    async fn import(&mut self, full: bool) -> Result<Vec<EventType>> {
        let customer = &self.tenant.customer.id;
        let behind = self.service.last_position(customer).await?;
        for chosen in self.tenant.chosen() {
            let options = ImportOptions { full, ..chosen.options.clone() };
            let stop = CancellationToken::new();
            let ended = import_one(&self.service, customer, chosen, options, &stop, self.console).await;
            self.console.say(&text::outcome(&ended));
            match self.ended.iter().position(|earlier| earlier.name == ended.name) {
                Some(at) => {
                    let earlier = self.ended.remove(at);
                    self.ended.insert(at, earlier.followed_by(ended));
                }
                None => self.ended.push(ended),
            }
        }
        if let Some(printer) = &self.printer {
            printer.print_all().await?;
        }
        let events = self.service.store().events(customer, behind, usize::MAX >> 1)?;
        Ok(events.iter().map(|event| event.event_type).collect())
    }

    fn records(&self, kind: ObjectKind) -> Result<Vec<Record>> {
        self.service.store().records(&self.tenant.customer.id, kind, None, usize::MAX >> 1)
    }

    fn shown(&self) -> Result<Option<Value>> {
        let users = self.records(ObjectKind::User)?;
        let shown = users.iter().find(|user| user.attributes.text(&names::USERNAME) == Some(SHOWN));
        Ok(shown.map(|user| serde_json::to_value(user).unwrap_or_default()))
    }

    fn title(&self, title: &str) {
        self.say(&format!("\n{title}"));
    }

    fn say(&self, text: &str) {
        self.console.say(text);
    }
}

/// Says why an account cannot be used now.
fn condition(user: &Record) -> Option<&'static str> {
    let record = serde_json::to_value(user).unwrap_or_default();
    let is = |value: &Value| *value == Value::Bool(true);
    if is(&record["attributes"]["disabled"]) {
        Some("suspended, because the account is disabled")
    } else if is(&record["attributes"]["expired"]) {
        Some("suspended, because the account has expired")
    } else if is(&record["locked_out"]) {
        Some("active, and locked out after wrong passwords")
    } else {
        None
    }
}

/// Leaves out what is known to be empty: correct, and long.
fn without_nulls(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, value| !value.is_null());
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
