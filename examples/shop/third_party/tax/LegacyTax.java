package tax.legacy;

public class LegacyTax {

    private double rate = 0.19;

    public double gross(double net) {
        return Math.round(net * (1 + rate) * 100) / 100.0;
    }

    public double net(double gross) {
        return Math.round(gross / (1 + rate) * 100) / 100.0;
    }
}
