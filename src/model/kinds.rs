//! The closed lists of the outside contract, each with its spelling.

use serde::{Deserialize, Serialize};

use super::Value;

macro_rules! spelled {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the spelling used in events.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// Reads the spelling used in events.
            pub fn from_spelling(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl From<$name> for Value {
            fn from(value: $name) -> Self {
                Self::Text(value.as_str().into())
            }
        }
    };
}

spelled! {
    /// What kind of record an object makes. Contacts, where imported, are users of [`UserKind::Contact`].
    ObjectKind {
        /// A user.
        User = "user",
        /// A group.
        Group = "group",
        /// A computer or device.
        Computer = "computer",
    }
}

spelled! {
    /// What sort of account a user is.
    UserKind {
        /// An employee's or other person's account.
        Person = "person",
        /// A guest of another organisation.
        Guest = "guest",
        /// A shared mailbox.
        Shared = "shared",
        /// A room mailbox.
        Room = "room",
        /// An equipment mailbox.
        Equipment = "equipment",
        /// An account for a program.
        Service = "service",
        /// An address book entry without an account.
        Contact = "contact",
    }
}

spelled! {
    /// Whether an account may be used, as its directory says.
    UserState {
        /// It may sign in.
        Active = "active",
        /// It is disabled, expired or blocked.
        Suspended = "suspended",
        /// It is prepared and not yet in use.
        Staged = "staged",
    }
}

spelled! {
    /// Whether a second factor is enrolled.
    MfaState {
        /// At least one second factor is registered.
        Enrolled = "enrolled",
        /// None is registered.
        NotEnrolled = "not-enrolled",
        /// The directory does not tell.
        Unknown = "unknown",
    }
}

spelled! {
    /// What sort of group it is.
    GroupKind {
        /// Grants rights.
        Security = "security",
        /// Receives mail only.
        Distribution = "distribution",
        /// Grants rights and receives mail.
        MailSecurity = "mail-security",
        /// A Microsoft 365 group.
        Microsoft365 = "microsoft365",
        /// Its members are computed and cannot be known.
        Dynamic = "dynamic",
        /// A Google group.
        Google = "google",
        /// A directory role.
        Role = "role",
        /// The group that stands for an endpoint itself.
        Endpoint = "endpoint",
        /// Made by hand, here.
        Manual = "manual",
    }
}

spelled! {
    /// What sort of computer it is.
    ComputerKind {
        /// A person's computer.
        Workstation = "workstation",
        /// A server.
        Server = "server",
        /// A domain controller.
        DomainController = "domain-controller",
        /// A phone or tablet.
        Mobile = "mobile",
        /// A `ChromeOS` device.
        ChromeOs = "chromeos",
        /// Anything else.
        Other = "other",
    }
}
