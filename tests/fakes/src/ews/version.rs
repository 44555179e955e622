//! The server versions from 2003 to the subscription edition and the schemas that they know; it knows no recipient.

/// A version of Exchange Server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// 2003: no web services at all, every address is 404.
    Exchange2003,
    /// 2007 without a service pack.
    Exchange2007,
    /// 2007 with service pack 1 or later.
    Exchange2007Sp1,
    /// 2010 without a service pack.
    Exchange2010,
    /// 2010 with service pack 1.
    Exchange2010Sp1,
    /// 2010 with service pack 2 or later: the first that knows `ContactDataShape`.
    Exchange2010Sp2,
    /// 2013 without a service pack.
    Exchange2013,
    /// 2013 with service pack 1 or later.
    Exchange2013Sp1,
    /// 2016.
    Exchange2016,
    /// 2019.
    Exchange2019,
    /// The subscription edition.
    SubscriptionEdition,
}

/// The schema that a request is read by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Schema(u8);

impl Schema {
    pub(crate) const E2007: Self = Self(0);
    pub(crate) const E2007_SP1: Self = Self(1);
    pub(crate) const E2010_SP2: Self = Self(5);
    pub(crate) const E2013: Self = Self(7);
}

/// `RequestServerVersion` in the order of the schema's own list.
const REQUESTABLE: [&str; 19] = [
    "Exchange2007",
    "Exchange2007_SP1",
    "Exchange2009",
    "Exchange2010",
    "Exchange2010_SP1",
    "Exchange2010_SP2",
    "Exchange2012",
    "Exchange2013",
    "Exchange2013_SP1",
    "Exchange2015",
    "Exchange2016",
    "V2015_10_05",
    "V2016_01_06",
    "V2016_04_13",
    "V2016_07_13",
    "V2016_10_10",
    "V2017_01_07",
    "V2017_04_14",
    "V2017_07_11",
];

impl Version {
    /// All versions, the oldest first.
    pub const ALL: [Self; 11] = [
        Self::Exchange2003,
        Self::Exchange2007,
        Self::Exchange2007Sp1,
        Self::Exchange2010,
        Self::Exchange2010Sp1,
        Self::Exchange2010Sp2,
        Self::Exchange2013,
        Self::Exchange2013Sp1,
        Self::Exchange2016,
        Self::Exchange2019,
        Self::SubscriptionEdition,
    ];

    /// Returns major and minor version and both parts of the build.
    pub fn build(self) -> [u32; 4] {
        match self {
            Self::Exchange2003 => [6, 5, 7638, 1],
            Self::Exchange2007 => [8, 0, 685, 8],
            Self::Exchange2007Sp1 => [8, 1, 240, 5],
            Self::Exchange2010 => [14, 0, 639, 11],
            Self::Exchange2010Sp1 => [14, 1, 218, 13],
            Self::Exchange2010Sp2 => [14, 2, 328, 9],
            Self::Exchange2013 => [15, 0, 516, 29],
            Self::Exchange2013Sp1 => [15, 0, 893, 17],
            Self::Exchange2016 => [15, 1, 2345, 6789],
            Self::Exchange2019 => [15, 2, 1544, 4],
            Self::SubscriptionEdition => [15, 2, 1748, 10],
        }
    }

    /// Returns the `Version` that it tells in `ServerVersionInfo`; the oldest tells none.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Exchange2003 | Self::Exchange2007 => None,
            Self::Exchange2007Sp1 => Some("Exchange2007_SP1"),
            Self::Exchange2010 => Some("Exchange2010"),
            Self::Exchange2010Sp1 => Some("Exchange2010_SP1"),
            Self::Exchange2010Sp2 => Some("Exchange2010_SP2"),
            Self::Exchange2013 => Some("Exchange2013"),
            Self::Exchange2013Sp1 => Some("V2_10"),
            Self::Exchange2016 | Self::Exchange2019 | Self::SubscriptionEdition => Some("V2017_07_11"),
        }
    }

    /// Returns how many calls of one account it works on at a time, as its own policy has it.
    pub fn concurrency(self) -> Option<u32> {
        match self {
            Self::Exchange2003 | Self::Exchange2007 | Self::Exchange2007Sp1 => None,
            Self::Exchange2010 | Self::Exchange2010Sp1 | Self::Exchange2010Sp2 => Some(10),
            _ => Some(27),
        }
    }

    /// Returns whether answers are written as 2007 wrote them: `soap:` and a default namespace.
    pub(crate) fn is_2007(self) -> bool {
        self < Self::Exchange2010
    }

    /// The schema under a requested name; absent when this version does not know it.
    pub(crate) fn schema(self, requested: &str) -> Option<Schema> {
        let newest = match self {
            Self::Exchange2003 => return None,
            Self::Exchange2007 => 0,
            Self::Exchange2007Sp1 => 1,
            Self::Exchange2010 => 3,
            Self::Exchange2010Sp1 => 4,
            Self::Exchange2010Sp2 => 5,
            Self::Exchange2013 => 7,
            Self::Exchange2013Sp1 => 8,
            Self::Exchange2016 | Self::Exchange2019 | Self::SubscriptionEdition => 18,
        };
        let place = REQUESTABLE.iter().position(|name| *name == requested)?;
        let place = u8::try_from(place).ok()?;
        (place <= newest).then_some(Schema(place))
    }
}
