//! Actions on accounts of a real domain: what `ldapsearch` reads afterwards, and what the next import says of it.

use tenantry::endpoint::{Action, ActionOutcome, Actor, Endpoint};
use tenantry::gate::Gate;
use tenantry::model::{ObjectKey, ObjectKind, RecordId, SourceId, names};
use tenantry::service::{ActionRequest, ActionResult};
use tenantry::{Context, EndpointInfo, ErrorKind, Secret};
use tenantry_active_directory::{ActiveDirectory, ActiveDirectoryConfig};
use tenantry_live::{Population, SambaDc, Scope};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::world::{Done, PASSWORD, World, ready};

const COMPANY: Population = Population::small();
const FLAGS: &str = "userAccountControl";
const ALL: [Action; 4] = [Action::Suspend, Action::Resume, Action::Unlock, Action::ForcePasswordChange];

fn person(number: usize) -> String {
    COMPANY.user_dn(number, "DC=corp,DC=example")
}

fn login(number: usize) -> String {
    format!("(sAMAccountName=u{number:05})")
}

/// A small company whose endpoint binds as the administrator of the domain.
async fn by_administrator() -> Result<World, Box<dyn std::error::Error>> {
    let dc = SambaDc::populated(COMPANY)?;
    let (user, password) = (dc.admin_user(), dc.admin_password());
    World::with(dc, |config| {
        config.domain.bind = user.into();
        config.domain.password = Secret::new(password);
    })
    .await
}

/// Lets an account write one attribute of every user.
fn delegate(dc: &SambaDc, sid: &str, attribute: &str) -> tenantry_live::Result<()> {
    const USER: &str = "bf967aba-0de6-11d0-a285-00aa003049e2";
    let ace = format!("(OA;CIIO;RPWP;{attribute};{USER};{sid})");
    dc.samba_tool(&["dsacl", "set", &format!("--objectdn={}", dc.base_dn()), &format!("--sddl={ace}")]).map(drop)
}

impl World {
    async fn act(&self, action: Action, record: RecordId) -> ActionResult {
        let cancel = CancellationToken::new();
        let request = ActionRequest::new(action, "operator").through(self.name.clone());
        let acted = self.service.act(&self.customer, &request, &[record], &cancel).await;
        acted.expect("the endpoint answers").remove(0).result
    }

    async fn acts(&self, action: Action, guid: Uuid, expected: &str) {
        let result = self.act(action, self.user(guid).id).await;
        assert_eq!(result.as_str(), expected, "{action}: {result}");
    }

    /// Reads one value with the administrator's own client.
    fn value(&self, filter: &str, attribute: &str) -> tenantry_live::Result<Option<String>> {
        let found = self.dc.ldapsearch(self.dc.base_dn(), filter, &[attribute])?;
        let value = found[0].values(attribute).next();
        Ok(value.map(|value| String::from_utf8_lossy(value).into_owned()))
    }

    fn flags(&self, number: usize) -> tenantry_live::Result<Option<String>> {
        self.value(&login(number), FLAGS)
    }
}

fn actor(config: &ActiveDirectoryConfig, world: &World) -> tenantry::Result<ActiveDirectory> {
    ActiveDirectory::new(EndpointInfo::new(world.name.clone(), ActiveDirectory::KIND), config.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn disabling_keeps_every_other_flag_and_the_next_import_tells() -> Done {
    if !ready("actions") {
        return Ok(());
    }
    let mut world = by_administrator().await?;
    world.dc.replace(&person(7), FLAGS, "66048")?;
    world.import_done().await?;
    let guid = world.guid(&login(7))?;
    assert_eq!(world.user(guid).attributes.text(&names::STATE), Some("active"));
    world.events()?;

    world.acts(Action::Suspend, guid, "done").await;
    assert_eq!(world.flags(7)?.as_deref(), Some("66050"));
    world.acts(Action::Suspend, guid, "already-so").await;
    assert_eq!(world.user(guid).attributes.text(&names::STATE), Some("active"), "nothing changes before an import");
    assert_eq!(world.events()?.len(), 0);
    assert_eq!(world.import_done().await?.updated, 1);
    assert_eq!(world.user(guid).attributes.text(&names::STATE), Some("suspended"));
    world.check()?;

    world.acts(Action::Resume, guid, "done").await;
    assert_eq!(world.flags(7)?.as_deref(), Some("66048"));
    world.import_done().await?;
    assert_eq!(world.user(guid).attributes.text(&names::STATE), Some("active"));
    world.check()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_not_there_any_more_is_refused_by_the_server() -> Done {
    if !ready("actions") {
        return Ok(());
    }
    let world = by_administrator().await?;
    world.dc.replace(&person(7), FLAGS, "66048")?;
    let stale = format!(
        "dn: {}\nchangetype: modify\ndelete: {FLAGS}\n{FLAGS}: 512\n-\nadd: {FLAGS}\n{FLAGS}: 514\n",
        ascii_name(&world, 7)?
    );
    let error = world.dc.ldapmodify(&stale).expect_err("somebody else was faster");
    assert_eq!(error.code(), Some(16), "{error}");
    assert_eq!(world.flags(7)?.as_deref(), Some("66048"));
    Ok(())
}

/// Names an account so that LDIF takes it as it stands.
fn ascii_name(world: &World, number: usize) -> tenantry_live::Result<String> {
    Ok(format!("<GUID={}>", world.guid(&login(number))?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_lock_out_is_ended() -> Done {
    if !ready("actions") {
        return Ok(());
    }
    let world = by_administrator().await?;
    let account = world.dc.create_account("locked", "Passw0rd!Lock1")?;
    world.dc.set_lockout_threshold(3)?;
    let wrong = world.dc.client(&account.upn, "wrong");
    for _ in 0..3 {
        assert_eq!(wrong.bind()?.code, 49);
    }
    let right = world.dc.client(&account.upn, &account.password);
    assert!(right.bind()?.diagnostic.contains("data 775"), "it is locked out");
    world.import_done().await?;
    let guid = world.guid("(sAMAccountName=locked)")?;
    let locked =
        |world: &World| world.user(guid).attributes.get(&names::LOCKED_OUT).and_then(tenantry::model::Value::as_bool);
    assert_eq!(locked(&world), Some(true));

    world.acts(Action::Unlock, guid, "done").await;
    assert_eq!(right.bind()?.code, 0);
    world.acts(Action::Unlock, guid, "already-so").await;
    world.import_done().await?;
    assert_eq!(locked(&world), Some(false));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_is_demanded_but_not_of_one_whose_password_never_expires() -> Done {
    if !ready("actions") {
        return Ok(());
    }
    let mut world = by_administrator().await?;
    let account = world.dc.create_account("forced", "Passw0rd!Force1")?;
    world.dc.replace(&person(7), FLAGS, "66048")?;
    world.import_done().await?;
    let (forced, never) = (world.guid("(sAMAccountName=forced)")?, world.guid(&login(7))?);

    world.acts(Action::ForcePasswordChange, forced, "done").await;
    let outcome = world.dc.client(&account.upn, &account.password).bind()?;
    assert!(outcome.diagnostic.contains("data 773"), "{outcome:?}");
    world.acts(Action::ForcePasswordChange, forced, "already-so").await;

    let before = world.value(&login(7), "pwdLastSet")?;
    let result = world.act(Action::ForcePasswordChange, world.user(never).id).await;
    assert_eq!(result.as_str(), "refused");
    assert!(result.to_string().contains("clear \"password never expires\""), "{result}");
    assert_eq!(world.value(&login(7), "pwdLastSet")?, before);

    world.import_done().await?;
    let demanded =
        world.user(forced).attributes.get(&names::MUST_CHANGE_PASSWORD).and_then(tenantry::model::Value::as_bool);
    assert_eq!(demanded, Some(true));
    world.check()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegated_account_does_what_it_may_and_names_the_right_that_it_lacks() -> Done {
    const LOCKOUT_TIME: &str = "28630ebf-41d5-11d1-a9c1-0000f80367c1";
    const USER_ACCOUNT_CONTROL: &str = "bf967a68-0de6-11d0-a285-00aa003049e2";
    if !ready("actions") {
        return Ok(());
    }
    let world = World::small().await?;
    let account = world.dc.create_account("locked", PASSWORD)?;
    world.dc.set_lockout_threshold(3)?;
    for _ in 0..3 {
        world.dc.client(&account.upn, "wrong").bind()?;
    }
    world.import_done().await?;
    let guid = world.guid("(sAMAccountName=locked)")?;
    let record = world.user(guid).id;
    let refused = |result: &ActionResult, right: &str| match result.error().map(tenantry::Error::kind) {
        Some(ErrorKind::PermissionDenied { missing }) => missing.iter().any(|missing| missing == right),
        _ => false,
    };
    for action in [Action::Suspend, Action::Unlock, Action::ForcePasswordChange] {
        let result = world.act(action, record).await;
        assert_eq!(result.as_str(), "refused", "{action}: {result}");
        assert!(!result.to_string().contains(PASSWORD));
    }
    let flags = world.value("(sAMAccountName=locked)", FLAGS)?;
    assert_eq!(flags.as_deref(), Some("512"));

    delegate(&world.dc, &world.reader.sid, LOCKOUT_TIME)?;
    world.acts(Action::Unlock, guid, "done").await;
    let result = world.act(Action::Suspend, record).await;
    assert!(refused(&result, "write userAccountControl"), "{result}");

    delegate(&world.dc, &world.reader.sid, USER_ACCOUNT_CONTROL)?;
    world.acts(Action::Suspend, guid, "done").await;
    let result = world.act(Action::ForcePasswordChange, record).await;
    assert!(refused(&result, "write pwdLastSet"), "{result}");
    assert_eq!(world.value("(sAMAccountName=locked)", FLAGS)?.as_deref(), Some("514"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_should_change_is_refused_also_to_the_administrator() -> Done {
    if !ready("actions") {
        return Ok(());
    }
    let world = by_administrator().await?;
    let mut deputy = world.config.clone();
    deputy.domain.bind = world.reader.upn.clone();
    deputy.domain.password = Secret::new(PASSWORD);
    world.dc.samba_tool(&["group", "addmembers", "Domain Admins", "reader"])?;
    world.dc.replace(&person(8), "adminCount", "1")?;
    let guids = |filters: &[&str]| filters.iter().map(|filter| world.guid(filter)).collect::<Result<Vec<_>, _>>();
    let protected = login(8);
    let everywhere = guids(&[
        "(sAMAccountName=Administrator)",
        "(sAMAccountName=Guest)",
        "(sAMAccountName=krbtgt)",
        "(sAMAccountName=DC1$)",
        &protected,
    ])?;
    let own = guids(&["(sAMAccountName=reader)"])?;
    let before =
        world.dc.ldapsearch(world.dc.base_dn(), "(objectClass=user)", &[FLAGS, "lockoutTime", "pwdLastSet"])?;
    for (config, guids) in [(&world.config, &everywhere), (&deputy, &everywhere), (&deputy, &own)] {
        let endpoint = actor(config, &world)?;
        let cx = Context::new(Gate::builder().build(), CancellationToken::new());
        let actor: &dyn Actor = endpoint.as_actor().expect("it takes actions");
        actor.begin(&cx).await?;
        for (guid, action) in guids.iter().flat_map(|guid| ALL.map(|action| (*guid, action))) {
            let key = ObjectKey { kind: ObjectKind::User, id: SourceId::Guid(guid) };
            let outcome = actor.act(&cx, action, &key).await?;
            let ActionOutcome::Refused(refusal) = outcome else { panic!("{action} of {guid}: {outcome:?}") };
            assert_eq!(*refusal.kind(), ErrorKind::Unsupported, "{refusal}");
        }
    }
    let after = world.dc.ldapsearch(world.dc.base_dn(), "(objectClass=user)", &[FLAGS, "lockoutTime", "pwdLastSet"])?;
    assert_eq!(after, before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_tells_who_is_bound_whatever_name_it_came_by() -> Done {
    if !ready("actions") {
        return Ok(());
    }
    let dc = SambaDc::provision()?;
    let reader = dc.create_account("reader", PASSWORD)?;
    let found = dc.ldapsearch(&reader.dn, "(objectClass=user)", &["objectSid"])?;
    let sid = found[0].values("objectSid").next().expect("every account has one");
    for name in [reader.upn.as_str(), reader.dn.as_str(), "CORP\\reader"] {
        let root = dc.client(name, PASSWORD).search_with(&[], Scope::Base, "", "(objectClass=*)", &["tokenGroups"])?;
        assert!(root[0].values("tokenGroups").any(|value| value == sid), "{name}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_was_deleted_since_the_import_is_refused_as_gone() -> Done {
    if !ready("actions") {
        return Ok(());
    }
    for by_admin in [true, false] {
        let world = if by_admin { by_administrator().await? } else { World::small().await? };
        world.import_done().await?;
        let guid = world.guid(&login(9))?;
        world.dc.ldapdelete(&person(9))?;
        let result = world.act(Action::Suspend, world.user(guid).id).await;
        assert_eq!(result.as_str(), "refused");
        assert_eq!(result.error().map(|error| error.kind().clone()), Some(ErrorKind::NotFound), "{result}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_company_is_suspended_and_resumed_and_all_is_as_before() -> Done {
    if !ready("actions") {
        return Ok(());
    }
    let mut world = by_administrator().await?;
    world.import_done().await?;
    let read =
        |world: &World| world.dc.ldapsearch(&COMPANY.root_dn(world.dc.base_dn()), "(objectClass=user)", &[FLAGS]);
    let before = read(&world)?;
    let active = |world: &World| -> tenantry::Result<Vec<RecordId>> {
        let users = world.records(ObjectKind::User)?;
        let is_active = |state: Option<&str>| state == Some("active");
        let own = |name: Option<&str>| name.is_some_and(|name| name.starts_with("u0"));
        let wanted = users.values().filter(|user| {
            is_active(user.attributes.text(&names::STATE)) && own(user.attributes.text(&names::USERNAME))
        });
        Ok(wanted.map(|user| user.id).collect())
    };
    let everybody = active(&world)?;
    assert!(everybody.len() > 20, "{}", everybody.len());
    for action in [Action::Suspend, Action::Resume] {
        let cancel = CancellationToken::new();
        let request = ActionRequest::new(action, "operator").through(world.name.clone());
        let results = world.service.act(&world.customer, &request, &everybody, &cancel).await?;
        let not_done: Vec<_> = results.iter().filter(|result| result.result.as_str() != "done").collect();
        assert!(not_done.is_empty(), "{not_done:?}");
    }
    assert_eq!(read(&world)?, before);
    assert_eq!(world.import_done().await?.updated, 0);
    world.check()
}
