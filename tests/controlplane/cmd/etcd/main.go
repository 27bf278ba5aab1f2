// One etcd member on the addresses that its flags give.
package main

import (
	"flag"
	"log"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
)

func main() {
	cfg := embed.NewConfig()
	flag.StringVar(&cfg.Dir, "data-dir", "", "folder of the data")
	client := flag.String("listen-client-urls", "", "address for clients")
	advertised := flag.String("advertise-client-urls", "", "the same, as told to clients")
	peer := flag.String("listen-peer-urls", "", "address for other members")
	flag.BoolVar(&cfg.UnsafeNoFsync, "unsafe-no-fsync", false, "do not wait for the disk")
	flag.StringVar(&cfg.LogLevel, "log-level", "warn", "what to log")
	flag.Parse()

	cfg.ListenClientUrls = parse(*client)
	cfg.AdvertiseClientUrls = parse(*advertised)
	cfg.ListenPeerUrls = parse(*peer)
	cfg.AdvertisePeerUrls = cfg.ListenPeerUrls
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)

	member, err := embed.StartEtcd(cfg)
	if err != nil {
		log.Fatal(err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-stop:
		member.Close()
	case err := <-member.Err():
		log.Fatal(err)
	}
}

func parse(text string) []url.URL {
	address, err := url.Parse(text)
	if err != nil || address.Host == "" {
		log.Fatalf("%q is no address; give one such as http://127.0.0.1:2379", text)
	}
	return []url.URL{*address}
}
