//! Describes users, groups, computers and contacts before they are added; it knows no request.

use super::account::LogonRule;
use super::change::Draft;
use super::{Directory, Target, done};
use crate::ldap::clock::{self, DAY};
use crate::ldap::dn::Rdn;
use crate::ldap::ids::{Guid, Sid};

#[derive(Debug)]
struct Plan {
    directory: Directory,
    parent: String,
    name: String,
    draft: Draft,
}

impl Plan {
    fn new(directory: Directory, parent: &str, name: &str, class: &str) -> Self {
        let mut draft = Draft::default();
        draft.text("objectClass", class);
        Self { directory, parent: parent.to_owned(), name: name.to_owned(), draft }
    }

    fn push(&mut self, attribute: &str, value: &[u8]) {
        let mut values = self.draft.get(attribute).map(<[_]>::to_vec).unwrap_or_default();
        values.push(value.to_vec());
        self.draft.set(attribute, values);
    }

    #[track_caller]
    fn create(self) -> Guid {
        let mut state = self.directory.lock();
        let parent = Directory::find(&state, &Target::Text(self.parent));
        let id = done(state.create(parent, Rdn::new("CN", &self.name), self.draft));
        state.entry(id).guid
    }
}

/// Writes the methods that all builders share.
macro_rules! shared {
    () => {
        /// Sets the common name, the RDN.
        pub fn named(mut self, name: &str) -> Self {
            self.plan.name = name.to_owned();
            self
        }

        /// Sets the main mail address.
        pub fn mail(self, address: &str) -> Self {
            self.attribute("mail", address)
        }

        /// Sets the display name.
        pub fn display_name(self, name: &str) -> Self {
            self.attribute("displayName", name)
        }

        /// Adds a description; more than one is legal.
        pub fn description(self, text: &str) -> Self {
            self.attribute("description", text)
        }

        /// Adds a value of any attribute.
        pub fn attribute(self, name: &str, value: &str) -> Self {
            self.bytes(name, value.as_bytes())
        }

        /// Adds a binary value of any attribute.
        pub fn bytes(mut self, name: &str, value: &[u8]) -> Self {
            self.plan.push(name, value);
            self
        }

        /// Fixes the objectGUID instead of deriving it.
        pub fn guid(mut self, guid: Guid) -> Self {
            self.plan.draft.guid = Some(guid);
            self
        }

        /// Fixes the objectSid instead of taking the next one.
        pub fn sid(mut self, sid: Sid) -> Self {
            self.plan.draft.sid = Some(sid);
            self
        }
    };
}

/// A user to be.
#[derive(Debug)]
#[must_use = "the user exists after create()"]
pub struct UserBuilder {
    plan: Plan,
    control: i64,
    password: Option<String>,
    rule: LogonRule,
}

impl UserBuilder {
    pub(crate) fn new(directory: Directory, parent: &str, account: &str) -> Self {
        let mut plan = Plan::new(directory, parent, account, "user");
        plan.draft.text("sAMAccountName", account);
        Self { plan, control: 512, password: None, rule: LogonRule::Anytime }
    }

    shared!();

    /// Sets givenName.
    pub fn given(self, name: &str) -> Self {
        self.attribute("givenName", name)
    }

    /// Sets sn.
    pub fn surname(self, name: &str) -> Self {
        self.attribute("sn", name)
    }

    /// Sets userPrincipalName.
    pub fn upn(self, name: &str) -> Self {
        self.attribute("userPrincipalName", name)
    }

    /// Adds a proxy address with its prefix, such as `smtp:a.berg@corp.example`.
    pub fn proxy(self, address: &str) -> Self {
        self.attribute("proxyAddresses", address)
    }

    /// Sets the manager, who must exist.
    pub fn manager(mut self, manager: impl Into<Target>) -> Self {
        let dn = self.plan.directory.dn_of(manager);
        self.plan.draft.text("manager", &dn);
        self
    }

    /// Sets the password with which the account binds.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Makes it an inetOrgPerson.
    pub fn inet_org_person(mut self) -> Self {
        self.plan.draft.text("objectClass", "inetOrgPerson");
        self
    }

    /// Disables the account.
    pub fn disabled(self) -> Self {
        self.flags(0x2)
    }

    /// Adds bits to userAccountControl.
    pub fn flags(mut self, bits: i64) -> Self {
        self.control |= bits;
        self
    }

    /// Replaces userAccountControl, for trust accounts and the like.
    pub fn control(mut self, value: i64) -> Self {
        self.control = value;
        self
    }

    /// Lets the account have expired yesterday.
    pub fn expired(mut self) -> Self {
        let then = self.plan.directory.lock().clock.now() - DAY;
        self.plan.draft.text("accountExpires", &then.to_string());
        self
    }

    /// Lets the account expire at this second since 1970.
    pub fn expires_at(mut self, unix_seconds: i64) -> Self {
        self.plan.draft.text("accountExpires", &clock::from_unix(unix_seconds).to_string());
        self
    }

    /// Locks the account out since a minute ago.
    pub fn locked(mut self) -> Self {
        let then = self.plan.directory.lock().recently();
        self.plan.draft.text("lockoutTime", &then.to_string());
        self
    }

    /// Lets the user have to change the password at the next logon.
    pub fn must_change(mut self) -> Self {
        self.plan.draft.text("pwdLastSet", "0");
        self
    }

    /// Lets the password be older than the domain allows.
    pub fn password_expired(mut self) -> Self {
        let then = self.plan.directory.lock().clock.now() - 1000 * DAY;
        self.plan.draft.text("pwdLastSet", &then.to_string());
        self
    }

    /// Sets the primary group by its RID.
    pub fn primary_group(mut self, rid: u32) -> Self {
        self.plan.draft.text("primaryGroupID", &rid.to_string());
        self
    }

    /// Sets the logon hours and workstation rule.
    pub fn logon_rule(mut self, rule: LogonRule) -> Self {
        self.rule = rule;
        self
    }

    /// Adds the user.
    #[track_caller]
    pub fn create(mut self) -> Guid {
        self.plan.draft.text("userAccountControl", &self.control.to_string());
        let directory = self.plan.directory.clone();
        let guid = self.plan.create();
        let mut state = directory.lock();
        let id = Directory::find(&state, &guid.into());
        let account = state.account(id);
        account.password = self.password;
        account.rule = self.rule;
        guid
    }
}

/// A contact to be.
#[derive(Debug)]
#[must_use = "the contact exists after create()"]
pub struct ContactBuilder {
    plan: Plan,
}

impl ContactBuilder {
    pub(crate) fn new(directory: Directory, parent: &str, name: &str) -> Self {
        Self { plan: Plan::new(directory, parent, name, "contact") }
    }

    shared!();

    /// Adds the contact.
    #[track_caller]
    pub fn create(self) -> Guid {
        self.plan.create()
    }
}

/// Who can be a member of a group and where it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupScope {
    /// Members of this domain, counts everywhere.
    Global,
    /// Members from anywhere, counts in this domain.
    DomainLocal,
    /// Members of the forest, counts everywhere.
    Universal,
}

/// A group to be.
#[derive(Debug)]
#[must_use = "the group exists after create()"]
pub struct GroupBuilder {
    plan: Plan,
    kind: i64,
}

impl GroupBuilder {
    pub(crate) fn new(directory: Directory, parent: &str, account: &str) -> Self {
        let mut plan = Plan::new(directory, parent, account, "group");
        plan.draft.text("sAMAccountName", account);
        Self { plan, kind: -2_147_483_646 }
    }

    shared!();

    /// Sets the scope.
    pub fn scope(mut self, scope: GroupScope) -> Self {
        let bit = match scope {
            GroupScope::Global => 2,
            GroupScope::DomainLocal => 4,
            GroupScope::Universal => 8,
        };
        self.kind = (self.kind & !0xe) | bit;
        self
    }

    /// Makes it a distribution list, not a security group.
    pub fn distribution(mut self) -> Self {
        self.kind &= 0x7fff_ffff;
        self
    }

    /// Adds a member, who must exist.
    pub fn member(self, member: impl Into<Target>) -> Self {
        let dn = self.plan.directory.dn_of(member);
        self.attribute("member", &dn)
    }

    /// Sets the owner, who must exist.
    pub fn managed_by(self, owner: impl Into<Target>) -> Self {
        let dn = self.plan.directory.dn_of(owner);
        self.attribute("managedBy", &dn)
    }

    /// Adds the group.
    #[track_caller]
    pub fn create(mut self) -> Guid {
        self.plan.draft.text("groupType", &self.kind.to_string());
        self.plan.create()
    }
}

/// What a computer account stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComputerKind {
    /// A desktop or laptop.
    Workstation,
    /// A member server.
    Server,
    /// A domain controller.
    DomainController,
    /// A group managed service account, which is a computer to the schema.
    ManagedServiceAccount,
}

/// A computer to be.
#[derive(Debug)]
#[must_use = "the computer exists after create()"]
pub struct ComputerBuilder {
    plan: Plan,
    control: i64,
}

impl ComputerBuilder {
    pub(crate) fn new(directory: Directory, parent: &str, name: &str, kind: ComputerKind) -> Self {
        let (class, control, system) = match kind {
            ComputerKind::Workstation => ("computer", 4096, Some(("Windows 11 Enterprise", "10.0 (22631)"))),
            ComputerKind::Server => ("computer", 4096, Some(("Windows Server 2022 Standard", "10.0 (20348)"))),
            ComputerKind::DomainController => {
                ("computer", 532_480, Some(("Windows Server 2022 Standard", "10.0 (20348)")))
            }
            ComputerKind::ManagedServiceAccount => ("msDS-GroupManagedServiceAccount", 4096, None),
        };
        let host = {
            let state = directory.lock();
            format!("{}.{}", name.to_lowercase(), state.root_dn().dns_name())
        };
        let mut plan = Plan::new(directory, parent, name, class);
        plan.draft.text("sAMAccountName", &format!("{name}$"));
        plan.draft.text("dNSHostName", &host);
        if let Some((product, version)) = system {
            plan.draft.text("operatingSystem", product);
            plan.draft.text("operatingSystemVersion", version);
        }
        Self { plan, control }
    }

    shared!();

    /// Sets product and version; appliances are no Windows.
    pub fn system(mut self, product: &str, version: &str) -> Self {
        self.plan.draft.text("operatingSystem", product);
        self.plan.draft.text("operatingSystemVersion", version);
        self
    }

    /// Disables the account.
    pub fn disabled(mut self) -> Self {
        self.control |= 2;
        self
    }

    /// Adds the computer.
    #[track_caller]
    pub fn create(mut self) -> Guid {
        self.plan.draft.text("userAccountControl", &self.control.to_string());
        self.plan.create()
    }
}
