"""Takes from an account the right to read a container and what is in it, or gives it back.

Arguments: smb.conf, sam.ldb, deny or allow, dn, sid.
"""

import re
import sys

import ldb
from samba.auth import system_session
from samba.dcerpc import security
from samba.ndr import ndr_pack, ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB

conf, database, action, base, sid = sys.argv[1:6]
parameters = LoadParm()
parameters.load(conf)
sam = SamDB(url=database, lp=parameters, session_info=system_session())
domain = security.dom_sid(sam.get_domain_sid())
controls = ["sd_flags:1:4"]
# An inherited denial loses against the explicit "authenticated users may read" that every new container has, so each
# container gets its own. Objects in it vanish because their parent cannot be listed.
containers = sam.search(
    ldb.Dn(sam, base),
    scope=ldb.SCOPE_SUBTREE,
    expression="(|(objectClass=organizationalUnit)(objectClass=container))",
    attrs=["nTSecurityDescriptor"],
    controls=controls,
)
if not containers:
    sys.exit("no container at " + base)
for container in containers:
    sddl = ndr_unpack(security.descriptor, container["nTSecurityDescriptor"][0]).as_sddl(domain)
    sddl = re.sub(r"\(D;;[A-Z]+;;;%s\)" % re.escape(sid), "", sddl)
    if action == "deny":
        sddl = re.sub(r"D:([A-Z]*)\(", r"D:\1(D;;RPLCLO;;;%s)(" % sid, sddl, count=1)
    message = ldb.Message(container.dn)
    message["nTSecurityDescriptor"] = ldb.MessageElement(
        ndr_pack(security.descriptor.from_sddl(sddl, domain)), ldb.FLAG_MOD_REPLACE, "nTSecurityDescriptor"
    )
    sam.modify(message, controls)
