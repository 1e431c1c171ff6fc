"""A QuickFIX engine as the other end of a session.

Arguments: role (initiator|acceptor), version (4.2|4.4), port, folder for its store, data dictionary.
Its comp id is QF, the other end's KEEL. Events go to stdout and commands come by stdin, one JSON object a line:
{"send": "35=8|37=1|..."}, {"logout": true}, {"stop": true}. Fields are separated by `|`.
"""

import json
import os
import sys
import threading

import quickfix

role, version, port, folder, dictionary_path = sys.argv[1:6]
begin_string = f"FIX.{version}"
dictionary = quickfix.DataDictionary(dictionary_path)
session_id = quickfix.SessionID(begin_string, "QF", "KEEL")
write_lock = threading.Lock()


def tell(event, message=None):
    line = {"event": event}
    if message is not None:
        line["message"] = message.toString().replace("\x01", "|")
    with write_lock:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


class Application(quickfix.Application):
    def onCreate(self, session):
        pass

    def onLogon(self, session):
        tell("logon")

    def onLogout(self, session):
        tell("logout")

    def toAdmin(self, message, session):
        tell("admin-out", message)

    def fromAdmin(self, message, session):
        tell("admin-in", message)

    def toApp(self, message, session):
        pass

    def fromApp(self, message, session):
        tell("app", message)


settings_text = f"""[DEFAULT]
ConnectionType={role}
FileStorePath={os.path.join(folder, "store")}
StartTime=00:00:00
EndTime=00:00:00
HeartBtInt=5
ReconnectInterval=1
SocketAcceptPort={port}
SocketConnectHost=127.0.0.1
SocketConnectPort={port}
SocketReuseAddress=Y
SocketNodelay=Y
UseDataDictionary=Y
DataDictionary={dictionary_path}
ValidateUserDefinedFields=N
ResetOnLogon=N
PersistMessages=Y

[SESSION]
BeginString={begin_string}
SenderCompID=QF
TargetCompID=KEEL
"""
settings_path = os.path.join(folder, "settings.cfg")
with open(settings_path, "w", encoding="ascii") as file:
    file.write(settings_text)

settings = quickfix.SessionSettings(settings_path)
application = Application()
store_factory = quickfix.FileStoreFactory(settings)
log_factory = quickfix.FileLogFactory(os.path.join(folder, "log"))
kind = quickfix.SocketAcceptor if role == "acceptor" else quickfix.SocketInitiator
engine = kind(application, store_factory, settings, log_factory)
engine.start()
tell("ready")

for line in sys.stdin:
    command = json.loads(line)
    if "send" in command:
        body = command["send"].replace("|", "\x01")
        message = quickfix.Message(f"8={begin_string}\x019=0\x01{body}\x0110=000\x01", dictionary, False)
        quickfix.Session.sendToTarget(message, session_id)
    elif "stop" in command:
        break

engine.stop()
