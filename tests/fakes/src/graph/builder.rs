//! Makers of single objects by hand; they know no request.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::changes::GroupKind;
use super::clock::instant;
use super::ids::{Id, Kind, mix, write_guid};
use super::properties;
use super::tenant::Tenant;

/// A new object; nothing is there before `create`.
#[derive(Debug)]
struct Draft {
    tenant: Tenant,
    kind: Kind,
    name: String,
    values: BTreeMap<&'static str, Value>,
}

impl Draft {
    fn new(tenant: &Tenant, kind: Kind, name: &str) -> Self {
        Self { tenant: tenant.clone(), kind, name: name.to_owned(), values: BTreeMap::new() }
    }

    fn set(&mut self, name: &'static str, value: Value) {
        self.values.insert(name, value);
    }

    fn domain(&self) -> String {
        self.tenant.0.domains().into_iter().next().unwrap_or_default()
    }

    /// A number of its own for each name.
    fn number(&self) -> u64 {
        self.name.bytes().fold(self.kind as u64, |number, byte| mix(number ^ u64::from(byte)))
    }

    fn create(self) -> Id {
        let values = self.values.iter().map(|(name, value)| {
            let place = properties::place(self.kind, name);
            (place.unwrap_or_else(|| panic!("{:?} has no {name}", self.kind)), value.clone())
        });
        let values = values.collect();
        let id = self.tenant.0.writing(|state| {
            let object = state.create(self.kind, values);
            state.id(object)
        });
        self.tenant.remember(&self.name, id);
        id
    }
}

impl Tenant {
    /// Begins a user; the name is the first part of the principal name and of the mail address.
    pub fn user(&self, nick: &str) -> UserBuilder {
        let mut draft = Draft::new(self, Kind::User, nick);
        let address = format!("{nick}@{}", draft.domain());
        draft.set("displayName", json!(nick));
        draft.set("userPrincipalName", json!(address));
        draft.set("mailNickname", json!(nick));
        draft.set("mail", json!(address));
        draft.set("proxyAddresses", json!([format!("SMTP:{address}")]));
        draft.set("accountEnabled", json!(true));
        draft.set("userType", json!("Member"));
        draft.set("createdDateTime", json!(instant(self.clock().now() / 1000)));
        UserBuilder { draft, hidden: Vec::new() }
    }

    /// Begins a guest from another organisation, invited and accepted.
    pub fn guest(&self, nick: &str) -> UserBuilder {
        let user = self.user(nick);
        let domain = user.draft.domain();
        let mut user = user.mail(&format!("{nick}@partner.example")).purpose(None);
        user.draft.set("userPrincipalName", json!(format!("{nick}_partner.example#EXT#@{domain}")));
        user.draft.set("userType", json!("Guest"));
        user.draft.set("creationType", json!("Invitation"));
        user.draft.set("externalUserState", json!("Accepted"));
        user
    }

    /// Begins a group; the name is its display name and its mail nickname.
    pub fn group(&self, name: &str, kind: GroupKind) -> GroupBuilder {
        let mut draft = Draft::new(self, Kind::Group, name);
        let domain = draft.domain();
        draft.values.extend(kind.values(name, &domain));
        draft.set("displayName", json!(name));
        draft.set("mailNickname", json!(name));
        draft.set("createdDateTime", json!(instant(self.clock().now() / 1000)));
        if matches!(kind, GroupKind::Microsoft365 | GroupKind::DynamicMicrosoft365) {
            draft.set("visibility", json!("Private"));
        }
        GroupBuilder { draft, members: Vec::new() }
    }

    /// Begins a device that is joined to the directory.
    pub fn device(&self, name: &str) -> DeviceBuilder {
        let mut draft = Draft::new(self, Kind::Device, name);
        let number = draft.number();
        let mut text = [0; 36];
        write_guid(u128::from(number) << 64 | u128::from(mix(number)), &mut text);
        draft.set("deviceId", json!(String::from_utf8_lossy(&text)));
        draft.set("displayName", json!(name));
        draft.set("accountEnabled", json!(true));
        draft.set("trustType", json!("AzureAd"));
        draft.set("operatingSystem", json!("Windows"));
        draft.set("operatingSystemVersion", json!("10.0.26100.1742"));
        draft.set("registrationDateTime", json!(instant(self.clock().now() / 1000)));
        DeviceBuilder { draft, owners: Vec::new() }
    }

    /// Makes a mail contact of the organisation.
    pub fn contact(&self, name: &str) -> Id {
        let mut draft = Draft::new(self, Kind::Contact, name);
        draft.set("displayName", json!(name));
        draft.set("mail", json!(format!("{name}@partner.example")));
        draft.create()
    }

    /// Makes a service principal, which can be a member of groups.
    pub fn service_principal(&self, name: &str) -> Id {
        let mut draft = Draft::new(self, Kind::ServicePrincipal, name);
        draft.set("displayName", json!(name));
        draft.set("servicePrincipalType", json!("Application"));
        draft.create()
    }
}

/// A user to be made.
#[derive(Debug)]
#[must_use = "nothing is made before `create`"]
pub struct UserBuilder {
    draft: Draft,
    hidden: Vec<(&'static str, Value)>,
}

impl UserBuilder {
    /// Sets given name, surname and, of both, the display name.
    pub fn named(mut self, given: &str, surname: &str) -> Self {
        self.draft.set("givenName", json!(given));
        self.draft.set("surname", json!(surname));
        self.draft.set("displayName", json!(format!("{given} {surname}")));
        self
    }

    /// Sets the mail address, which becomes the primary proxy address.
    pub fn mail(mut self, address: &str) -> Self {
        self.draft.set("mail", json!(address));
        self.draft.set("proxyAddresses", json!([format!("SMTP:{address}")]));
        self
    }

    /// Adds a secondary address.
    pub fn alias(mut self, address: &str) -> Self {
        if let Some(Value::Array(addresses)) = self.draft.values.get_mut("proxyAddresses") {
            addresses.push(json!(format!("smtp:{address}")));
        }
        self
    }

    /// Leaves the user without mail.
    pub fn without_mail(mut self) -> Self {
        self.draft.set("mail", Value::Null);
        self.draft.set("proxyAddresses", json!([]));
        self.purpose(None)
    }

    /// Disables the account.
    pub fn disabled(mut self) -> Self {
        self.draft.set("accountEnabled", json!(false));
        self
    }

    /// Makes the user one that is synchronised from on-premises, with this account name.
    pub fn synced(mut self, account: &str) -> Self {
        let number = self.draft.number();
        let sid = format!("S-1-5-21-1004336348-1177238915-682003330-{}", 1000 + number % 1_000_000);
        self.draft.set("onPremisesSyncEnabled", json!(true));
        self.draft.set("onPremisesSamAccountName", json!(account));
        self.draft.set("onPremisesDomainName", json!("corp.example"));
        self.draft.set("onPremisesDistinguishedName", json!(format!("CN={account},OU=People,DC=corp,DC=example")));
        self.draft.set("onPremisesSecurityIdentifier", json!(sid));
        let anchor = super::encoding::base64(&number.to_le_bytes().repeat(2));
        self.draft.set("onPremisesImmutableId", json!(anchor));
        let now = self.draft.values.get("createdDateTime").cloned().unwrap_or_default();
        self.draft.set("onPremisesLastSyncDateTime", now);
        self
    }

    /// Sets the anchor that joins a synchronised user to the account it came from: its objectGUID in wire order.
    pub fn anchor(mut self, guid: [u8; 16]) -> Self {
        self.draft.set("onPremisesImmutableId", json!(super::encoding::base64(&guid)));
        self
    }

    /// Makes the user a shared mailbox: disabled, without licence.
    pub fn shared_mailbox(self) -> Self {
        self.disabled().purpose(Some("shared"))
    }

    /// Makes the user a room.
    pub fn room(self) -> Self {
        self.disabled().purpose(Some("room"))
    }

    /// Says what the mailbox is for; `None` for no mailbox.
    pub fn purpose(mut self, purpose: Option<&str>) -> Self {
        self.hidden.push(("purpose", json!(purpose)));
        self
    }

    /// Says whether a second factor is registered.
    pub fn second_factor(mut self, registered: bool) -> Self {
        self.hidden.push(("mfa", json!(registered)));
        self
    }

    /// Gives the user a privileged role.
    pub fn admin(mut self) -> Self {
        self.hidden.push(("admin", json!(true)));
        self
    }

    /// Sets any property by its Graph name.
    pub fn with(mut self, name: &'static str, value: Value) -> Self {
        self.draft.set(name, value);
        self
    }

    /// Makes the user.
    ///
    /// # Panics
    /// When a property was set that users do not have.
    pub fn create(self) -> Id {
        let tenant = self.draft.tenant.clone();
        let id = self.draft.create();
        tenant.0.writing(|state| {
            for (name, value) in self.hidden {
                if let Some(user) = state.find(id) {
                    state.hide(user, name, value);
                }
            }
        });
        id
    }
}

/// A group to be made.
#[derive(Debug)]
#[must_use = "nothing is made before `create`"]
pub struct GroupBuilder {
    draft: Draft,
    members: Vec<Id>,
}

impl GroupBuilder {
    /// Sets the description.
    pub fn description(mut self, text: &str) -> Self {
        self.draft.set("description", json!(text));
        self
    }

    /// Adds a member of any kind.
    pub fn member(mut self, member: Id) -> Self {
        self.members.push(member);
        self
    }

    /// Adds members of any kind.
    pub fn members(mut self, members: impl IntoIterator<Item = Id>) -> Self {
        self.members.extend(members);
        self
    }

    /// Hides the members from who lacks `Member.Read.Hidden`.
    pub fn hidden_membership(self) -> Self {
        self.with("visibility", json!("HiddenMembership"))
    }

    /// Makes the group one that is synchronised from on-premises.
    pub fn synced(mut self) -> Self {
        let sid = format!("S-1-5-21-1004336348-1177238915-682003330-{}", 1000 + self.draft.number() % 1_000_000);
        self.draft.set("onPremisesSyncEnabled", json!(true));
        self.draft.set("onPremisesSecurityIdentifier", json!(sid));
        let name = self.draft.name.clone();
        self.with("onPremisesSamAccountName", json!(name))
    }

    /// Sets any property by its Graph name.
    pub fn with(mut self, name: &'static str, value: Value) -> Self {
        self.draft.set(name, value);
        self
    }

    /// Makes the group.
    ///
    /// # Panics
    /// When a property was set that groups do not have, or a member that the tenant never had.
    pub fn create(self) -> Id {
        let tenant = self.draft.tenant.clone();
        let id = self.draft.create();
        for member in self.members {
            tenant.add_member(id, member);
        }
        id
    }
}

/// A device to be made.
#[derive(Debug)]
#[must_use = "nothing is made before `create`"]
pub struct DeviceBuilder {
    draft: Draft,
    owners: Vec<Id>,
}

impl DeviceBuilder {
    /// Adds a registered owner.
    pub fn owner(mut self, owner: Id) -> Self {
        self.owners.push(owner);
        self
    }

    /// Sets `trustType`: `Workplace`, `AzureAd` or `ServerAd`.
    pub fn trust(self, trust: &str) -> Self {
        let trust = json!(trust);
        self.with("trustType", trust)
    }

    /// Sets any property by its Graph name.
    pub fn with(mut self, name: &'static str, value: Value) -> Self {
        self.draft.set(name, value);
        self
    }

    /// Makes the device.
    ///
    /// # Panics
    /// When a property was set that devices do not have.
    pub fn create(self) -> Id {
        let tenant = self.draft.tenant.clone();
        let id = self.draft.create();
        if !self.owners.is_empty() {
            tenant.set_owners(id, &self.owners);
        }
        id
    }
}
