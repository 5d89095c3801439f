# SPDX-License-Identifier: LGPL-2.1-or-later
"""An endpoint in a process of its own, which may hold the other dtls plugin. JSON lines in and out.

It prints {"port": N}, then obeys {"do": …} from its standard input, each answered by one line, until that ends."""
import base64
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import dtls  # noqa: E402,F401
from dtls.ends import End, boxed_bytes  # noqa: E402


def answer(**what):
    print(json.dumps(what), flush=True)


def main():
    how = json.loads(sys.argv[1])
    end = End(how.pop("client"), **how)
    answer(port=end.port, plugin=dtls.loaded.get_filename())
    for line in sys.stdin:
        command = json.loads(line)
        do = command["do"]
        if do == "start":
            end.to = command["to"]
            end.start(tx_first=command.get("tx_first", False))
            answer(ok=True)
        elif do == "send":
            for packet in command["packets"]:
                end.send(command["kind"], base64.b64decode(packet))
            answer(ok=True)
        elif do == "keys":
            key = end.enc.get_property("encoder-key"), end.dec.get_property("decoder-key")
            answer(keys=[boxed_bytes(k).hex() for k in key])
        elif do == "look":
            answer(state=end.state(), errors=end.errors(), pem=end.dec.get_property("pem"), peer_pem=end.dec.get_property("peer-pem"),
                   got={k: [base64.b64encode(p).decode() for p in v] for k, v in end.got.items()})
        elif do == "stop":
            end.stop()
            answer(ok=True)
    end.stop()


if __name__ == "__main__":
    main()
