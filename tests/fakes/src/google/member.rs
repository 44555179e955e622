//! The members of groups in all their kinds; it knows no account.

use serde_json::{Map, Value, json};

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// A user, of the account or of another one.
    User,
    /// A group, of the account or of another one.
    Group,
    /// Everyone of the account: without an address, its id is the customer's.
    Customer,
    /// Documented, and said not to be used.
    External,
}

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// May do everything.
    Owner,
    /// May add and remove members.
    Manager,
    /// May read and write.
    Member,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Owner => "OWNER",
            Self::Manager => "MANAGER",
            Self::Member => "MEMBER",
        }
    }
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub(crate) id: String,
    pub(crate) kind: MemberKind,
    pub(crate) role: Role,
    /// Of those outside; the account's own are looked up.
    pub(crate) email: Option<String>,
    pub(crate) since: i64,
}

impl Member {
    pub(crate) fn new(id: &str, kind: MemberKind, role: Role) -> Self {
        Self { id: id.to_owned(), kind, role, email: None, since: i64::MIN / 2 }
    }

    /// A user of the account.
    pub fn user(id: &str) -> Self {
        Self::new(id, MemberKind::User, Role::Member)
    }

    /// A group of the account.
    pub fn group(id: &str) -> Self {
        Self::new(id, MemberKind::Group, Role::Member)
    }

    /// Everyone of the account with this customer id.
    pub fn everyone(customer: &str) -> Self {
        Self::new(customer, MemberKind::Customer, Role::Member)
    }

    /// A user of another account, as the wire shows one: type `USER` with a foreign address.
    pub fn outside(id: &str, email: &str) -> Self {
        Self { email: Some(email.to_owned()), ..Self::new(id, MemberKind::User, Role::Member) }
    }

    /// A member of the documented type `EXTERNAL`.
    pub fn external(id: &str, email: &str) -> Self {
        Self { kind: MemberKind::External, ..Self::outside(id, email) }
    }

    /// The same with another role.
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    pub(crate) fn fields(&self, email: Option<&str>, status: Option<&str>) -> Map<String, Value> {
        let kind = match self.kind {
            MemberKind::User => "USER",
            MemberKind::Group => "GROUP",
            MemberKind::Customer => "CUSTOMER",
            MemberKind::External => "EXTERNAL",
        };
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        put("kind", json!("admin#directory#member"));
        put("id", json!(self.id));
        if let Some(email) = email {
            put("email", json!(email));
        }
        put("role", json!(self.role.name()));
        put("type", json!(kind));
        if let Some(status) = status {
            put("status", json!(status));
        }
        fields
    }
}
