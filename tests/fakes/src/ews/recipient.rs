//! What the organisation has: mailboxes, mail users, contacts, groups and their addresses; it knows no request.

/// A recipient's place in the directory, which is also the order in which it is found; it is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub(crate) u32);

/// What a recipient is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A person's mailbox.
    User,
    /// A mailbox of several persons.
    Shared,
    /// A room.
    Room,
    /// A piece of equipment.
    Equipment,
    /// A person with an account here and mail elsewhere.
    MailUser,
    /// A person elsewhere.
    Contact,
    /// A distribution group.
    Group,
    /// A group whose members are computed.
    DynamicGroup,
    /// A public folder that can be written to.
    PublicFolder,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::User,
        Self::Shared,
        Self::Room,
        Self::Equipment,
        Self::MailUser,
        Self::Contact,
        Self::Group,
        Self::DynamicGroup,
        Self::PublicFolder,
    ];

    /// Returns whether it can be expanded.
    pub fn is_group(self) -> bool {
        matches!(self, Self::Group | Self::DynamicGroup)
    }

    /// Returns whether the service can say `Mailbox` of it only.
    pub fn is_mailbox(self) -> bool {
        matches!(self, Self::User | Self::Shared | Self::Room | Self::Equipment)
    }
}

/// How a recipient's address is shown in answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Routing {
    /// As its primary SMTP address.
    #[default]
    Smtp,
    /// As its legacy name (`EX`), unless it was asked for by that very name.
    ExUnlessAsked,
    /// Always as its legacy name.
    Ex,
}

/// One who is in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member {
    /// A recipient; groups may be in groups, also in a circle.
    Recipient(Id),
    /// Somebody without an address, whom no answer shows.
    Unaddressed(String),
}

impl Member {
    /// Returns the recipient; absent for one without an address.
    pub fn recipient(&self) -> Option<Id> {
        match self {
            Self::Recipient(id) => Some(*id),
            Self::Unaddressed(_) => None,
        }
    }
}

impl From<Id> for Member {
    fn from(id: Id) -> Self {
        Self::Recipient(id)
    }
}

/// Who is in a dynamic group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Rule {
    /// Everybody of a department.
    Department(String),
    /// Everybody of a kind.
    Kind(Kind),
    /// Nobody.
    #[default]
    Nobody,
}

/// A recipient. What is empty is absent, but for name, addresses and legacy name, which an organisation fills in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// What it is.
    pub kind: Kind,
    /// The name that people see.
    pub display_name: String,
    /// The directory's own name of the object, which is searched too; the shown name when it is empty.
    pub full_name: String,
    /// The first name.
    pub first_name: String,
    /// Initials.
    pub initials: String,
    /// The last name.
    pub last_name: String,
    /// The alias.
    pub alias: String,
    /// All addresses with their routing prefix. The primary one is the first with upper-case `SMTP:`, which need not
    /// stand first.
    pub addresses: Vec<String>,
    /// The legacy name, such as `/o=Corp/ou=…/cn=Recipients/cn=anna`.
    pub legacy_name: String,
    /// How its address is shown.
    pub routing: Routing,
    /// Hidden from address lists.
    pub hidden: bool,
    /// The office.
    pub office: String,
    /// The company.
    pub company: String,
    /// The department.
    pub department: String,
    /// The job title.
    pub title: String,
    /// The telephone number.
    pub phone: String,
    /// The mobile number.
    pub mobile: String,
    /// Street, city, state, country, postal code.
    pub postal: [String; 5],
    /// The manager.
    pub manager: Option<Id>,
    /// A free remark.
    pub notes: String,
    /// The members of a group.
    pub members: Vec<Member>,
    /// The members of a dynamic group.
    pub rule: Rule,
}

impl Recipient {
    /// A recipient of a kind with an alias.
    pub fn new(kind: Kind, alias: impl Into<String>) -> Self {
        Self {
            kind,
            display_name: String::new(),
            full_name: String::new(),
            first_name: String::new(),
            initials: String::new(),
            last_name: String::new(),
            alias: alias.into(),
            addresses: Vec::new(),
            legacy_name: String::new(),
            routing: Routing::Smtp,
            hidden: false,
            office: String::new(),
            company: String::new(),
            department: String::new(),
            title: String::new(),
            phone: String::new(),
            mobile: String::new(),
            postal: Default::default(),
            manager: None,
            notes: String::new(),
            members: Vec::new(),
            rule: Rule::Nobody,
        }
    }

    /// A person's mailbox.
    pub fn user(alias: impl Into<String>) -> Self {
        Self::new(Kind::User, alias)
    }

    /// A shared mailbox.
    pub fn shared(alias: impl Into<String>) -> Self {
        Self::new(Kind::Shared, alias)
    }

    /// A room.
    pub fn room(alias: impl Into<String>) -> Self {
        Self::new(Kind::Room, alias)
    }

    /// A person with mail elsewhere.
    pub fn mail_user(alias: impl Into<String>) -> Self {
        Self::new(Kind::MailUser, alias)
    }

    /// A person elsewhere.
    pub fn contact(alias: impl Into<String>) -> Self {
        Self::new(Kind::Contact, alias)
    }

    /// A distribution group.
    pub fn group(alias: impl Into<String>) -> Self {
        Self::new(Kind::Group, alias)
    }

    /// A dynamic group.
    pub fn dynamic_group(alias: impl Into<String>, rule: Rule) -> Self {
        Self { rule, ..Self::new(Kind::DynamicGroup, alias) }
    }

    /// Sets first and last name, and the shown name where there is none.
    #[must_use]
    pub fn named(mut self, first: &str, last: &str) -> Self {
        if self.display_name.is_empty() {
            format!("{first} {last}").trim().clone_into(&mut self.display_name);
        }
        (self.first_name, self.last_name) = (first.to_owned(), last.to_owned());
        self
    }

    /// Sets the shown name.
    #[must_use]
    pub fn displayed(mut self, name: &str) -> Self {
        name.clone_into(&mut self.display_name);
        self
    }

    /// Sets the primary address.
    #[must_use]
    pub fn primary(mut self, address: &str) -> Self {
        self.set_primary(address);
        self
    }

    /// Adds an address, a plain one as a secondary SMTP address.
    #[must_use]
    pub fn address(mut self, address: &str) -> Self {
        self.addresses.push(if address.contains(':') { address.to_owned() } else { format!("smtp:{address}") });
        self
    }

    /// Sets the office.
    #[must_use]
    pub fn office(mut self, office: &str) -> Self {
        office.clone_into(&mut self.office);
        self
    }

    /// Sets department and job title.
    #[must_use]
    pub fn job(mut self, department: &str, title: &str) -> Self {
        (self.department, self.title) = (department.to_owned(), title.to_owned());
        self
    }

    /// Hides it from address lists.
    #[must_use]
    pub fn hide(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// Sets how its address is shown.
    #[must_use]
    pub fn routed(mut self, routing: Routing) -> Self {
        self.routing = routing;
        self
    }

    /// Adds a member.
    #[must_use]
    pub fn member(mut self, member: impl Into<Member>) -> Self {
        self.members.push(member.into());
        self
    }

    /// Adds members.
    #[must_use]
    pub fn members<M: Into<Member>>(mut self, members: impl IntoIterator<Item = M>) -> Self {
        self.members.extend(members.into_iter().map(Into::into));
        self
    }

    /// Returns the primary SMTP address; absent when there is none.
    pub fn primary_address(&self) -> Option<&str> {
        self.addresses.iter().find_map(|address| address.strip_prefix("SMTP:"))
    }

    /// Makes an address the primary one; the one before stays as a secondary one.
    pub fn set_primary(&mut self, address: &str) {
        let same =
            |other: &String| other.split_once(':').is_some_and(|(kind, rest)| is_smtp(kind) && eq(rest, address));
        self.addresses.retain(|other| !same(other));
        for other in &mut self.addresses {
            if let Some(rest) = other.strip_prefix("SMTP:") {
                *other = format!("smtp:{rest}");
            }
        }
        self.addresses.insert(0, format!("SMTP:{address}"));
    }

    /// Returns whether it has this SMTP address, as the primary or another one.
    pub fn has_address(&self, address: &str) -> bool {
        self.addresses
            .iter()
            .any(|other| other.split_once(':').is_some_and(|(kind, rest)| is_smtp(kind) && eq(rest, address)))
    }

    /// Returns whether a recipient is in this group directly.
    pub fn has_member(&self, id: Id) -> bool {
        self.members.iter().any(|member| member.recipient() == Some(id))
    }
}

fn is_smtp(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("smtp")
}

fn eq(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// What the service account keeps for itself: a contact, or a private list when it has members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonalContact {
    /// The name.
    pub name: String,
    /// The SMTP address; a private list has none.
    pub address: String,
    /// Names and addresses of a private list's members.
    pub members: Vec<(String, String)>,
}
