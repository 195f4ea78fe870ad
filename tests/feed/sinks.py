"""A codec by itself: a sink that keeps everything."""

from titan_core.feed.port import Topic
from titan_core.model.enums import StreamKind


class Collector:
    """A sink that keeps everything."""

    def __init__(self):
        self.now, self.rows, self.gaps, self.resyncs, self.ids = 0, [], [], [], []

    def now_ns(self):
        return self.now

    def emitter(self, instrument, kind):
        return lambda event_ns, values: self.rows.append((kind, event_ns, values))

    def trade_emitter(self, instrument):
        def emit(event_ns, values, ident):
            self.ids.append(ident)
            self.rows.append((StreamKind.TRADE, event_ns, values))

        return emit

    def gap(self, instrument, since_ns, reason):
        self.gaps.append(reason)

    def missing(self, instrument, after, before):
        self.gaps.append((after, before))

    def resync(self, topic):
        self.resyncs.append(topic.name)

    def of(self, kind):
        return [values for found, _, values in self.rows if found is kind]


def codec_of(make, instrument, kinds, *names):
    sink = Collector()
    codec = make(sink)
    topics = [Topic(name, instrument, frozenset(kinds)) for name in names] or codec.topics(instrument, frozenset(kinds))
    for topic in topics:
        codec.add(topic)
    return codec, sink
