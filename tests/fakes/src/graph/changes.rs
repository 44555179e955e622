//! Changes that a test makes to a tenant, and looks at what it holds; it knows no request.

use serde_json::{Value, json};

use super::actions;
use super::clock::instant;
use super::ids::{Id, Kind, Ref};
use super::properties;
use super::state::{Life, State};
use super::tables::sign_ins;
use super::tenant::Tenant;

/// How long deleted objects can be restored, in milliseconds.
const RETENTION: i64 = 30 * 86_400 * 1000;

/// What a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupKind {
    /// A Microsoft 365 group.
    Microsoft365,
    /// A security group without mail.
    Security,
    /// A security group with mail.
    MailSecurity,
    /// A distribution list.
    Distribution,
    /// A security group whose members a rule decides.
    DynamicSecurity,
    /// A Microsoft 365 group whose members a rule decides.
    DynamicMicrosoft365,
}

impl GroupKind {
    pub(crate) fn values(self, nick: &str, domain: &str) -> Vec<(&'static str, Value)> {
        let (types, mail, security) = match self {
            Self::Microsoft365 => (json!(["Unified"]), true, false),
            Self::Security => (json!([]), false, true),
            Self::MailSecurity => (json!([]), true, true),
            Self::Distribution => (json!([]), true, false),
            Self::DynamicSecurity => (json!(["DynamicMembership"]), false, true),
            Self::DynamicMicrosoft365 => (json!(["DynamicMembership", "Unified"]), true, false),
        };
        let address = format!("{nick}@{domain}");
        let dynamic = matches!(self, Self::DynamicSecurity | Self::DynamicMicrosoft365);
        vec![
            ("groupTypes", types),
            ("mailEnabled", json!(mail)),
            ("securityEnabled", json!(security)),
            ("mail", if mail { json!(address) } else { Value::Null }),
            ("proxyAddresses", if mail { json!([format!("SMTP:{address}")]) } else { json!([]) }),
            ("membershipRule", if dynamic { json!("(user.accountEnabled -eq true)") } else { Value::Null }),
            ("membershipRuleProcessingState", if dynamic { json!("On") } else { Value::Null }),
        ]
    }
}

/// Where an object is in its life, as Graph would tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// It is there.
    Live,
    /// It can be restored from the deleted items.
    SoftDeleted,
    /// It is gone for good, or never was.
    Gone,
}

impl Tenant {
    fn object(state: &State, id: Id) -> Ref {
        state.find(id).unwrap_or_else(|| panic!("the tenant never had an object {id}"))
    }

    fn change<T>(&self, id: Id, change: impl FnOnce(&mut State, Ref) -> T) -> T {
        self.0.writing(|state| {
            let object = Self::object(state, id);
            change(state, object)
        })
    }

    fn look<T>(&self, id: Id, look: impl FnOnce(&State, Ref) -> T) -> T {
        self.0.reading(true, |state| look(state, Self::object(state, id)))
    }

    // Properties.

    /// Sets properties by their Graph names; null clears.
    ///
    /// # Panics
    /// When the object's kind has no such property, as the test would prove nothing.
    pub fn update<'a>(&self, id: Id, values: impl IntoIterator<Item = (&'a str, Value)>) {
        self.change(id, |state, object| {
            let place = |name: &str| {
                properties::place(object.kind(), name).unwrap_or_else(|| panic!("{:?} has no {name}", object.kind()))
            };
            let values: Vec<_> = values.into_iter().map(|(name, value)| (place(name), value)).collect();
            state.set(object, values);
        });
    }

    /// Gives a user another principal name and, with it, another primary mail address; the old one stays as an alias.
    pub fn rename_user(&self, id: Id, nick: &str) {
        let domain = self.0.domains().into_iter().next().unwrap_or_default();
        let address = format!("{nick}@{domain}");
        let old = self.value(id, "proxyAddresses");
        let mut addresses = vec![json!(format!("SMTP:{address}"))];
        let aliases = old.as_array().into_iter().flatten().filter_map(Value::as_str);
        addresses.extend(aliases.map(|alias| json!(alias.replacen("SMTP:", "smtp:", 1))));
        self.update(
            id,
            [
                ("userPrincipalName", json!(address)),
                ("mail", json!(address)),
                ("mailNickname", json!(nick)),
                ("proxyAddresses", Value::Array(addresses)),
            ],
        );
    }

    /// Makes a group another kind of group.
    pub fn change_group_kind(&self, id: Id, kind: GroupKind) {
        let domain = self.0.domains().into_iter().next().unwrap_or_default();
        let nick = self.value(id, "mailNickname").as_str().unwrap_or_default().to_owned();
        self.update(id, kind.values(&nick, &domain));
    }

    /// Says whether a user registered a second factor.
    pub fn set_second_factor(&self, id: Id, registered: bool) {
        self.change(id, |state, object| state.hide(object, "mfa", json!(registered)));
    }

    /// Leaves a user out of the report on second factors.
    pub fn leave_out_of_report(&self, id: Id) {
        self.change(id, |state, object| state.hide(object, "unreported", json!(true)));
    }

    /// Says what a user's mailbox is for, such as `shared`; `None` takes the mailbox away.
    pub fn set_mailbox_purpose(&self, id: Id, purpose: Option<&str>) {
        self.change(id, |state, object| state.hide(object, "purpose", json!(purpose)));
    }

    /// Says when a user last signed in, in seconds since 1970; `None` for never.
    pub fn set_last_sign_in(&self, id: Id, at: Option<i64>) {
        let mut text = Vec::new();
        if let Some(at) = at {
            sign_ins(&mut text, at);
        }
        let value = serde_json::from_slice(&text).unwrap_or(Value::Null);
        self.update(id, [("signInActivity", value)]);
    }

    /// Gives a user a privileged role, so that applications may not change the account.
    pub fn make_admin(&self, id: Id) {
        self.change(id, |state, object| state.hide(object, "admin", json!(true)));
    }

    /// Whether a user must choose a new password at the next sign-in.
    pub fn must_change_password(&self, id: Id) -> bool {
        self.look(id, actions::must_change_password)
    }

    // Lives.

    /// Deletes an object as its kind is deleted: users and Microsoft 365 groups softly, all else for good.
    pub fn delete(&self, id: Id) {
        let soft = self.look(id, |state, object| match object.kind() {
            Kind::User => true,
            Kind::Group => {
                state.named(object, "groupTypes").as_array().is_some_and(|types| types.contains(&json!("Unified")))
            }
            _ => false,
        });
        if soft { self.delete_softly(id) } else { self.purge(id) }
    }

    /// Deletes an object so that it can be restored, as security groups in the preview.
    pub fn delete_softly(&self, id: Id) {
        let now = self.0.now();
        self.change(id, |state, object| state.delete_softly(object, now));
    }

    /// Restores a softly deleted object.
    pub fn restore(&self, id: Id) {
        let tell = self.0.settings().wake_tells_groups;
        self.change(id, |state, object| state.restore(object, tell));
    }

    /// Deletes an object for good, from the deleted items too.
    pub fn purge(&self, id: Id) {
        let tell = !self.0.settings().silent_purge;
        self.change(id, |state, object| state.purge(object, tell));
    }

    /// Purges what was deleted thirty days ago or earlier, as the service does by itself; returns what it was.
    pub fn purge_expired(&self) -> Vec<Id> {
        let limit = self.0.now() - RETENTION;
        let old: Vec<Id> = self.0.reading(true, |state| {
            let deleted = Kind::ALL
                .into_iter()
                .flat_map(|kind| state.soft_deleted(kind).iter().map(move |ordinal| Ref::new(kind, *ordinal)));
            let old = deleted.filter(|object| matches!(state.life(*object), Life::Soft(at) if at <= limit));
            old.map(|object| state.id(object)).collect()
        });
        for id in &old {
            self.purge(*id);
        }
        old
    }

    /// Tells where an object is in its life.
    pub fn lifetime(&self, id: Id) -> Lifetime {
        let life = self.0.reading(true, |state| state.find(id).map(|object| state.life(object)));
        match life {
            Some(Life::Live) => Lifetime::Live,
            Some(Life::Soft(_)) => Lifetime::SoftDeleted,
            _ => Lifetime::Gone,
        }
    }

    // Links.

    /// Adds a member to a group.
    pub fn add_member(&self, group: Id, member: Id) {
        self.change(group, |state, group| {
            let member = Self::object(state, member);
            state.join(group, member);
        });
    }

    /// Takes a member out of a group.
    pub fn remove_member(&self, group: Id, member: Id) {
        self.change(group, |state, group| {
            let member = Self::object(state, member);
            state.leave(group, member);
        });
    }

    /// Sets a device's registered owners.
    pub fn set_owners(&self, device: Id, owners: &[Id]) {
        self.change(device, |state, device| {
            let owners = owners.iter().map(|owner| Self::object(state, *owner)).collect();
            state.set_owners(device, owners);
        });
    }

    /// From now on delta does not tell who joins or leaves this group.
    pub fn silence(&self, group: Id) {
        self.change(group, |state, group| state.silent.insert(group.ordinal()));
    }

    // What the tenant holds, for a test to compare with.

    /// Returns the ids of all live objects of a kind.
    pub fn ids(&self, kind: Kind) -> Vec<Id> {
        self.0.reading(true, |state| {
            let all = (0..state.end(kind)).map(|ordinal| Ref::new(kind, ordinal));
            all.filter(|object| state.is_live(*object)).map(|object| state.id(object)).collect()
        })
    }

    /// Returns how many live objects of a kind there are.
    pub fn count(&self, kind: Kind) -> u32 {
        self.0.reading(true, |state| state.live(kind))
    }

    /// Returns a property by its Graph name; null when it was never set.
    pub fn value(&self, id: Id, name: &str) -> Value {
        self.look(id, |state, object| state.named(object, name))
    }

    /// Returns a group's live members with their kinds, in the order of their places.
    pub fn members(&self, group: Id) -> Vec<(Kind, Id)> {
        self.look(group, |state, group| {
            let members = (0..state.places(group.ordinal())).filter_map(|place| state.member(group.ordinal(), place));
            members.map(|member| (member.kind(), state.id(member))).collect()
        })
    }

    /// Returns how many live members all live groups have together.
    pub fn memberships(&self) -> u64 {
        self.0.reading(true, |state| {
            let groups = (0..state.end(Kind::Group)).filter(|group| state.is_live(Ref::new(Kind::Group, *group)));
            groups.map(|group| u64::from(state.member_count(group))).sum()
        })
    }

    /// Returns a device's registered owners.
    pub fn owners(&self, device: Id) -> Vec<Id> {
        self.look(device, |state, device| {
            state.owners(device.ordinal()).into_iter().map(|owner| state.id(owner)).collect()
        })
    }

    /// Returns the tenant's time as Graph writes it.
    pub fn now(&self) -> String {
        instant(self.0.now() / 1000)
    }
}
